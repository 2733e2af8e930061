#!/usr/bin/env node
// Generator of cloze/text/char_tables.cc: what Hugging Face `tokenizers` does with every code point, found by asking
// it.
//   npm install tokenizers@0.23.2
//   NODE_PATH=node_modules tools/probe_tokenizer.js > cloze/text/char_tables.cc     (half a minute)
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

tables();
