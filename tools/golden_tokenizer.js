#!/usr/bin/env node
// Generator of tests/text/golden: what Hugging Face `tokenizers` answers.
//   npm install tokenizers@0.23.2; export NODE_PATH=node_modules
//   tools/golden_tokenizer.js lines > tests/text/golden/peer.jsonl
//   tools/golden_tokenizer.js corpora DATA > tests/text/golden/corpora.tsv
//   CLOZE_HOSTILE_DIR=DIR build/release/bin/test_text --gtest_filter='HostileText.*'
//   tools/golden_tokenizer.js hostile DIR DATA [VOCABULARY ...] > tests/text/golden/hostile.tsv   (an hour; 5 GB)
// DATA is a folder with vocab/bert-base-*/vocab.txt and corpora/*.txt.gz. With VOCABULARY, only rows of those.
'use strict';
const fs = require('fs'), zlib = require('zlib');
const t = require('tokenizers');

const char = String.fromCodePoint;

let seed = 1;
const random = (n) => {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return Math.floor(seed / 4294967296 * n);
};
const pick = (list) => list[random(list.length)];

const build = (pieces, normalizer, added, truncation = null) => {
  const vocab = Object.fromEntries(pieces.map((w, i) => [w, i]));
  const entry = (w) =>
      ({id: vocab[w], content: w, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true});
  return t.Tokenizer.fromString(JSON.stringify({
    version: '1.0',
    truncation,
    padding: null,
    added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'].map(entry).concat(added),
    normalizer: {type: 'BertNormalizer', ...normalizer},
    pre_tokenizer: {type: 'BertPreTokenizer'},
    post_processor: {type: 'BertProcessing', sep: ['[SEP]', vocab['[SEP]']], cls: ['[CLS]', vocab['[CLS]']]},
    decoder: null,
    model:
        {type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab}
  }));
};

// Single characters of many scripts, inside words and at their start, and some longer pieces.
function goldenVocabulary() {
  const pieces = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
  const ranges = [
    [0x21, 0x7E], [0xE0, 0xFF], [0x3B1, 0x3C9], [0x430, 0x44F], [0x5D0, 0x5EA], [0x627, 0x64A], [0x915, 0x939],
    [0x1100, 0x1112], [0x1161, 0x1175], [0x11A8, 0x11C2], [0x3042, 0x3060], [0x4E00, 0x4E20], [0x1B05, 0x1B33]
  ];
  for (const [a, b] of ranges)
    for (let c = a; c <= b; c++) {
      pieces.push(char(c));
      if (c >= 0x61) pieces.push('##' + char(c));
    }
  return pieces.concat([
    'the',    'un',      '##want',   '##able', '##ing',    'ing',   '##ed', '中', '文',
    '##中',   'i\u0307', '##\u0301', '\u1B44', '##\u1B44', 'é',     '##é',  '한', '##한',
    'straße', '##s',     'ab',       '##abc',  'abcd',     '##bcx', '##d'
  ]);
}

function nastyLines() {
  // clang-format off
  const lines = [
    '', ' ', 'Unwanted running, the unable!', 'İstanbul ΑΣ ὈΔΥΣΣΕΎΣ', 'é e\u0301 E\u0301\u0323 ñ',
    '한국어 \u1112\u1161\u11AB', '中文字abc中a', 'a\u200Bb\u00ADc\uFEFFd', 'x\u0000y\uFFFDz',
    '\u3000a\u2003b\u0085c\u000Bd', '[MASK] [mask] [SEP][CLS]x[PAD]', 'abcdab abcx abcbcx abcabcabc',
    '\uFA0E豈\u{2F800}\u{20000}', 'a\u1B44\u0301b \u0301\u1B44', '\u1B05\u1B44\u0323\u0301\u1B35',
    '\u302E한\u302F\u0345\u0300', '≠ \u037E \u1FEF `', 'Dž DŽ ﬀ ß ẞ', '\u{1D15E}\u{1D160}',
    'e\u0345\u0344\u0F73\u0F71', 'x'.repeat(100), 'x'.repeat(101), 'é'.repeat(100) + ' ' + 'é'.repeat(101),
    '\u{1F600}a\u{1F600}\u{10FFFF}a',
  ];
  // clang-format on
  const pools = [
    [0x300, 0x345], [0x1100, 0x11FF], [0xAC00, 0xAD00], [0x5B0, 0x5EA], [0x627, 0x655], [0x915, 0x94D], [0xF71, 0xF81],
    [0x1B05, 0x1B44], [0x302A, 0x3030], [0x1D15E, 0x1D172], [0x200B, 0x2010], [0x20, 0x7E], [0xC0, 0x17F],
    [0x391, 0x3C9], [0x410, 0x44F], [0x4E00, 0x4E20], [0x1E00, 0x1EFF]
  ];
  for (let i = 0; i < 400; i++) {
    let line = '';
    const pool = [pick(pools), pick(pools), [0x61, 0x7A]];
    for (let n = 1 + random(18); n > 0; n--) {
      const [a, b] = pick(pool);
      line += char(a + random(b - a + 1));
      if (!random(12)) line += pick([' ', '[MASK]', '中', '!']);
    }
    lines.push(line);
  }
  lines.push('a\nb\rc\r\nd\n', 'é\r\n\u0301中\n[SEP]\r', '\n', '\r\n');  // what no line of a file can hold
  return lines;
}

const show = (e) => ({ids: e.getIds(), offsets: e.getOffsets().flat(), words: e.getWordIds().map((w) => w ?? -1)});
const uncased = {
  clean_text: true,
  handle_chinese_chars: true,
  lowercase: true,
  strip_accents: null
};

// One JSON object a line: first the vocabulary, then a case each.
async function lines() {
  const pieces = goldenVocabulary().filter((w, i, list) => list.indexOf(w) === i);
  console.log(JSON.stringify({pieces}));
  for (const [i, text] of nastyLines().entries()) {
    const bits = i % 3 ? 7 : random(16);  // two of three with plain uncased rules
    const normalizer = {
      clean_text: !!(bits & 1),
      handle_chinese_chars: !!(bits & 2),
      lowercase: !!(bits & 4),
      strip_accents: i % 3 ? null : !!(bits & 8)
    };
    console.log(JSON.stringify({normalizer, text, ...show(await build(pieces, normalizer, []).encode(text))}));
  }
  await goldenAdded(pieces);
  await goldenTruncation(pieces);
}

async function goldenAdded(pieces) {
  const normalizer = uncased;
  const flags = {single_word: false, lstrip: false, rstrip: false, normalized: false, special: false};
  const added = [
    {content: '<a>', lstrip: true}, {content: '<b>', rstrip: true}, {content: '<w>', single_word: true},
    {content: 'Éx', normalized: true, lstrip: true, rstrip: true}, {content: ' <c>'}
  ].map((token, i) => ({id: pieces.length + i, ...flags, ...token}));
  console.log(JSON.stringify({added}));
  const parts =
      ['<a>', '<b>', '<w>', ' <c>', 'éx', 'E\u0301X', 'x', '中', ' ', '\u3000', '_', '!', 'ab', '[SEP]', '\u200B'];
  for (let i = 0; i < 60; i++) {
    const text = Array.from({length: 1 + random(9)}, () => pick(parts)).join('');
    console.log(JSON.stringify(
        {normalizer, use_added: true, text, ...show(await build(pieces, normalizer, added).encode(text))}));
  }
}

async function goldenTruncation(pieces) {
  const normalizer = uncased;
  for (let i = 0; i < 150; i++) {
    const words = (n) => Array.from({length: n}, () => pick(['a', 'the', '中', 'ab'])).join(' ');
    const text = words(random(9)), pair = random(3) ? words(random(9)) : undefined;
    const truncation = {
      strategy: pick(['LongestFirst', 'OnlyFirst', 'OnlySecond']),
      max_length: (pair === undefined ? 2 : 3) + random(10),
      direction: pick(['Right', 'Left']),
      stride: 0
    };
    let result;
    try {
      result = show(await build(pieces, normalizer, [], truncation).encode(text, pair));
    } catch (error) {
      result = {refused: true};
    }
    console.log(JSON.stringify({normalizer, text, pair, truncation, ...result}));
  }
}

class Hash {
  constructor() {
    this.a = 0x811C9DC5 | 0;
    this.b = 0x1234567 | 0;
  }
  add(x) {
    this.a = Math.imul(this.a ^ x, 16777619);
    this.b = Math.imul((this.b ^ x) + (this.b >>> 15), 0x9E3779B1);
  }
  addEncoding(e) {
    for (const id of e.getIds()) this.add(id);
    for (const [begin, end] of e.getOffsets()) {
      this.add(begin);
      this.add(end);
    }
  }
  fields() {
    return [this.a >>> 0, this.b >>> 0];
  }
}

const load = (file, normalizer) =>
    build(fs.readFileSync(file, 'utf8').replace(/\n$/, '').split('\n'), normalizer, []);

// A line for each vocabulary and corpus, over the ids and offsets of the corpus' first lines.
async function corpora(data) {
  const limit = 5000;
  for (const [name, lowercase] of [
           ['uncased', true], ['cased', false], ['chinese', true], ['chinese', false], ['multilingual-cased', false]]) {
    const tokenizer = load(`${data}/vocab/bert-base-${name}/vocab.txt`, {...uncased, lowercase});
    for (const corpus of ['enwiki', 'zhwiki', 'imdb_reviews']) {
      let head = '';
      const stream = fs.createReadStream(`${data}/corpora/${corpus}.txt.gz`).pipe(zlib.createGunzip());
      for await (const part of stream.setEncoding('utf8')) {
        head += part;
        if (head.length > 8e6) break;
      }
      const hash = new Hash();
      for (const line of head.split('\n').slice(0, limit)) hash.addEncoding(await tokenizer.encode(line));
      console.log([name, lowercase ? 'uncased' : 'cased', corpus, limit, ...hash.fields()].join('\t'));
    }
  }
}

const settings = {
  uncased,
  cased: {...uncased, lowercase: false},
  accents: {clean_text: false, handle_chinese_chars: false, lowercase: false, strip_accents: true},
  plain: {clean_text: false, handle_chinese_chars: false, lowercase: false, strip_accents: false}
};
const hostileVocabularies = {
  'every': ['uncased', 'cased', 'accents', 'plain'],
  'samples/vocab_en.txt': ['uncased'],
  'samples/vocab_zh.txt': ['uncased', 'cased'],
  'bert-base-uncased': ['uncased'],
  'bert-base-cased': ['cased'],
  'bert-base-chinese': ['uncased']
};

// WHATWG's decoding of each line, and how many U+FFFD it put in.
function* decodedLines(file) {
  const bytes = fs.readFileSync(file), decoder = new TextDecoder('utf-8', {ignoreBOM: true});
  const count = (where, what) => {
    let n = 0;
    for (let at = where.indexOf(what); at >= 0; at = where.indexOf(what, at + what.length)) n++;
    return n;
  };
  const sign = Buffer.from('\uFFFD');
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(10, at), line = bytes.subarray(at, end), text = decoder.decode(line);
    yield [text, text.includes('\uFFFD') ? count(text, '\uFFFD') - count(line, sign) : 0];
    at = end + 1;
  }
}

async function hashFile(tokenizer, file, batch) {
  const hash = new Hash();
  let part = [], count = 0;
  const flush = async () => {
    const encodings = await tokenizer.encodeBatch(part.map((p) => p[0]));
    encodings.forEach((e, i) => {
      hash.addEncoding(e);
      hash.add(part[i][1]);
    });
    count += part.length;
    part = [];
  };
  for (const line of decodedLines(file)) {
    part.push(line);
    if (part.length === batch) await flush();
  }
  await flush();
  return [count, ...hash.fields()];
}

// A line for each vocabulary, setting and file of DIR, over the ids, the offsets and the count of replacements.
async function hostile(dir, data, ...only) {
  const files = fs.readdirSync(dir).filter((f) => !f.startsWith('vocab')).sort();
  for (const [name, chosen] of Object.entries(hostileVocabularies)) {
    if (only.length && !only.includes(name)) continue;
    const file = name === 'every' ? `${dir}/vocab_every.txt` :
        name.startsWith('bert-')  ? `${data}/vocab/${name}/vocab.txt` :
                                    `${__dirname}/../${name}`;
    for (const setting of chosen) {
      const tokenizer = load(file, settings[setting]);
      for (const f of files) {
        const block = f.replace('.txt', ''), long = block === 'ten_megabytes';
        if (long && (setting !== 'uncased' || !name.startsWith('samples'))) continue;  // minutes, and gigabytes
        console.log([block, name, setting, ...await hashFile(tokenizer, `${dir}/${f}`, long ? 1 : 500)].join('\t'));
      }
    }
  }
}

const [mode, ...rest] = process.argv.slice(2);
({lines, corpora, hostile})[mode](...rest);
