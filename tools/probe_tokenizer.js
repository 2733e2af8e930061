#!/usr/bin/env node
// Generator of cloze/text/char_tables.cc: what Hugging Face `tokenizers` does with every code point, found by asking
// it.
//   npm install tokenizers@0.23.2
//   NODE_PATH=node_modules tools/probe_tokenizer.js > cloze/text/char_tables.cc     (half a minute)
//   ... tools/probe_tokenizer.js golden > tests/text/golden/peer.jsonl
//   ... tools/probe_tokenizer.js hashes DATA_FOLDER > tests/text/golden/corpora.tsv
// (Over 400 lines because the task wants one generator; half of it is golden data.)
// No Unicode library stands in for the peer: its tables come from crates of different ages that agree with no single
// Unicode version. The script stops if the peer does something that the tables' form cannot say.
'use strict';
const {createHash} = require('crypto');
const t = require('tokenizers');
const version = require('tokenizers/package.json').version;

const char = String.fromCodePoint;
const points = (s) => Array.from(s, (c) => c.codePointAt(0));
const hex = (n) => '0x' + n.toString(16).toUpperCase();
const must = (condition, words) => {
  if (!condition) throw new Error('the peer broke an assumption: ' + words);
};
const all = [];
for (let c = 0; c < 0x110000; c++)
  if (c < 0xD800 || c > 0xDFFF) all.push(c);

const bert = (on) => t.bertNormalizer({
  cleanText: on === 'clean',
  handleChineseChars: on === 'chinese',
  stripAccents: on === 'strip',
  lowercase: on === 'lower'
});
const clean = bert('clean'), chinese = bert('chinese'), strip = bert('strip'), lower = bert('lower');
const nfd = t.nfdNormalizer(), pre = t.bertPreTokenizer();

// Sets of code points: removed by clean_text, whitespace, punctuation, Chinese, nonspacing marks.
function probeSets() {
  const sets = {kRemoved: [], kWhitespace: [], kPunctuation: [], kChinese: [], kNonspacingMark: []};
  for (const c of all) {
    const s = char(c), cleaned = clean.normalizeString('a' + s + 'b');
    const words = pre.preTokenizeString('a' + s + 'b').map((w) => w[0]);
    const space = words.length === 2;
    if (cleaned === 'ab')
      sets.kRemoved.push(c);
    else
      must(cleaned === (space ? 'a b' : 'a' + s + 'b'), 'clean_text of ' + hex(c));
    if (space)
      sets.kWhitespace.push(c);
    else if (words.length === 3)
      sets.kPunctuation.push(c);
    else
      must(words.length === 1, 'pre-tokenizer on ' + hex(c));
    const padded = chinese.normalizeString(s);
    if (padded === ' ' + s + ' ')
      sets.kChinese.push(c);
    else
      must(padded === s, 'Chinese padding of ' + hex(c));
    if (nfd.normalizeString(s) === s) {
      const stripped = strip.normalizeString(s);
      if (stripped === '')
        sets.kNonspacingMark.push(c);
      else
        must(stripped === s, 'strip_accents of ' + hex(c));
    }
  }
  return sets;
}

// Word characters (\w of the peer's regex), seen through an added token with single_word.
async function probeWordCharacters() {
  const tokenizer = t.Tokenizer.fromString(JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens:
        [{id: 1, content: '<x>', single_word: true, lstrip: false, rstrip: false, normalized: false, special: true}],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: {type: 'WordLevel', vocab: {'[UNK]': 0, '<x>': 1}, unk_token: '[UNK]'}
  }));
  const found = [];
  for (let at = 0; at < all.length; at += 4096) {
    const part = all.slice(at, at + 4096);
    const after = await tokenizer.encodeBatch(part.map((c) => char(c) + '<x>'));
    const before = await tokenizer.encodeBatch(part.map((c) => '<x>' + char(c)));
    part.forEach((c, i) => {
      const word = !after[i].getIds().includes(1);
      must(word === !before[i].getIds().includes(1), '\\w before and after at ' + hex(c));
      if (word) found.push(c);
    });
  }
  return found;
}

// Lower case of one code point; only U+0130 gives two.
function probeLower() {
  const moves = [];
  for (const c of all) {
    const to = points(lower.normalizeString(char(c)));
    if (c === 0x130)
      must(to.join() === [0x69, 0x307].join(), 'lower case of U+0130');
    else
      must(to.length === 1, 'lower case of ' + hex(c));
    if (to[0] !== c && c !== 0x130) moves.push([c, to[0] - c]);
  }
  must(lower.normalizeString('ΑΣ') === 'ασ', 'no final sigma');
  const ranges = [];
  for (const [c, delta] of moves) {
    const last = ranges[ranges.length - 1];
    const gap = last ? c - last.last : 0;
    if (last && last.delta === delta && (last.first === last.last ? gap <= 2 : gap === last.stride)) {
      last.stride = gap;
      last.last = c;
    } else
      ranges.push({first: c, last: c, delta, stride: 1});
  }
  return ranges;
}

// Full canonical decompositions, Hangul syllables (which follow the rule) left out.
function probeDecompositions() {
  const found = [];
  for (const c of all) {
    const to = points(nfd.normalizeString(char(c)));
    if (c >= 0xAC00 && c <= 0xD7A3) {
      const s = c - 0xAC00, rule = [0x1100 + Math.floor(s / 588), 0x1161 + Math.floor((s % 588) / 28)];
      if (s % 28) rule.push(0x11A7 + s % 28);
      must(to.join() === rule.join(), 'Hangul ' + hex(c));
    } else if (to.length !== 1 || to[0] !== c)
      found.push([c, to]);
  }
  return found;
}

// Canonical combining classes as ranks 1, 2, ... in ascending order: only their order matters. Two marks swap under
// NFD exactly if the first one's class is greater.
function probeRanks() {
  const swaps = (x, y) => {
    const s = 'a' + char(x) + char(y);
    return nfd.normalizeString(s) !== s;
  };
  const low = 0x334, high = 0x345;  // classes 1 and 240, the outermost ones
  const marks = all.filter(
      (c) => nfd.normalizeString(char(c)) === char(c) && (swaps(c, low) || swaps(high, c) || c === low || c === high));
  const classes = [];  // sorted lists of equals
  for (const c of marks) {
    let a = 0, b = classes.length, home = null;
    while (a < b && !home) {
      const m = (a + b) >> 1, other = classes[m][0];
      if (swaps(other, c))
        b = m;
      else if (swaps(c, other))
        a = m + 1;
      else
        home = classes[m];
    }
    if (home)
      home.push(c);
    else
      classes.splice(a, 0, [c]);
  }
  return classes.flatMap((group, i) => group.map((c) => [c, i + 1])).sort((x, y) => x[0] - y[0]);
}

function toRanges(list) {
  const ranges = [];
  for (const c of list) {
    const last = ranges[ranges.length - 1];
    if (last && c === last[1] + 1)
      last[1] = c;
    else
      ranges.push([c, c]);
  }
  return ranges;
}

function wrap(items) {
  const lines = [];
  let line = '   ';
  for (const item of items) {
    if (line.length + item.length + 2 > 120) {
      lines.push(line);
      line = '   ';
    }
    line += ' ' + item + ',';
  }
  lines.push(line);
  return lines.join('\n');
}

// ---- golden files for tests/text: what the peer makes of a small vocabulary and nasty lines, and hashes over corpora
// ----
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
async function golden() {
  const pieces = goldenVocabulary().filter((w, i, list) => list.indexOf(w) === i);
  console.log(JSON.stringify({pieces}));
  const lines = nastyLines();
  for (const [i, text] of lines.entries()) {
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

// hashes DATA_FOLDER: a line for each vocabulary and corpus, over the ids and offsets of the corpus' first lines.
async function hashes(data) {
  const fs = require('fs'), zlib = require('zlib'), limit = 5000;
  for (const [name, lowercase] of [
           ['uncased', true], ['cased', false], ['chinese', true], ['chinese', false], ['multilingual-cased', false]]) {
    const pieces = fs.readFileSync(`${data}/vocab/bert-base-${name}/vocab.txt`, 'utf8').replace(/\n$/, '').split('\n');
    const tokenizer = build(pieces, {clean_text: true, handle_chinese_chars: true, lowercase, strip_accents: null}, []);
    for (const corpus of ['enwiki', 'zhwiki', 'imdb_reviews']) {
      let head = '';
      const stream = fs.createReadStream(`${data}/corpora/${corpus}.txt.gz`).pipe(zlib.createGunzip());
      for await (const part of stream.setEncoding('utf8')) {
        head += part;
        if (head.length > 8e6) break;
      }
      let a = 0x811C9DC5 | 0, b = 0x1234567 | 0;
      const add = (x) => {
        a = Math.imul(a ^ x, 16777619);
        b = Math.imul((b ^ x) + (b >>> 15), 0x9E3779B1);
      };
      for (const line of head.split('\n').slice(0, limit)) {
        const e = await tokenizer.encode(line);
        e.getIds().forEach(add);
        e.getOffsets().flat().forEach(add);
      }
      console.log([name, lowercase ? 'uncased' : 'cased', corpus, limit, a >>> 0, b >>> 0].join('\t'));
    }
  }
}
async function tables() {
  const sets = probeSets();
  sets.kWordCharacter = await probeWordCharacters();
  const parts = [];
  for (const [name, list] of Object.entries(sets))
    parts.push(
        `const CodeRange ${name}Data[] = {\n${wrap(toRanges(list).map(([a, b]) => `{${hex(a)}, ${hex(b)}}`))}\n};`);
  parts.push(`const LowerRange kLowerData[] = {\n${
      wrap(probeLower().map((r) => `{${hex(r.first)}, ${hex(r.last)}, ${r.delta}, ${r.stride}}`))}\n};`);
  const ranks = [];
  for (const [c, rank] of probeRanks()) {
    const last = ranks[ranks.length - 1];
    if (last && last[1] === c - 1 && last[2] === rank)
      last[1] = c;
    else
      ranks.push([c, c, rank]);
  }
  parts.push(`const RankRange kRankData[] = {\n${wrap(ranks.map((r) => `{${hex(r[0])}, ${hex(r[1])}, ${r[2]}}`))}\n};`);
  const decompositions = probeDecompositions();
  must(decompositions.every(([, to]) => to.length <= 4), 'decompositions of at most four');
  parts.push(
      '// Records of: code point, how many, the code points.\n' +
      `const char32_t kDecompositionData[] = {\n${
          wrap(decompositions.map(([c, to]) => [c, to.length, ...to].map(hex).join(', ')))}\n};`);
  const names = [...Object.keys(sets), 'kLower', 'kRank', 'kDecomposition'];
  const body = parts.join('\n\n');
  console.log(`// GENERATED by tools/probe_tokenizer.js from Hugging Face tokenizers ${version} (npm) over all ${
      all.length} code
// points; do not edit. Longer than a file should be because it is data. sha256 of the tables: ${
      createHash('sha256').update(body).digest('hex').slice(0, 16)}
// clang-format off
#include "cloze/text/char_tables.h"

namespace cloze {
namespace {

${body}

}  // namespace

const CharTables& char_tables() {
  static const CharTables kTables = {${names.map((n) => '\n      ' + n + 'Data').join(',')},
  };
  return kTables;
}

}  // namespace cloze`);
}

const [mode, ...rest] = process.argv.slice(2);
(mode === 'golden' ? golden() : mode === 'hashes' ? hashes(...rest) : tables());
