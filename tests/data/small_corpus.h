// A vocabulary and a corpus for tests of the token cache and of what is made of it.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include "cloze/data/token_cache.h"
#include "tests/base/temporary.h"

namespace cloze::test {

inline Tokenizer tokenizer_of(const std::vector<std::string>& words) {
  std::vector<std::string> pieces = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  pieces.insert(pieces.end(), words.begin(), words.end());
  return Tokenizer::from_vocabulary(Vocabulary(pieces));
}

/// A cache in which the token 5 + d stands for document d, and nothing else: documents[d] holds the lengths of its
/// sentences. `first` is the number of the first document.
inline std::shared_ptr<const TokenCache> numbered_cache(const TemporaryFolder& folder, const std::string& name,
                                                        const std::vector<std::vector<int>>& documents,
                                                        size_t first = 0, size_t vocabulary = 1000) {
  std::vector<std::string> words;
  for (size_t d = 0; d < vocabulary; ++d) words.push_back(fmt::format("d{}", d));
  std::string text;
  for (size_t d = 0; d < documents.size(); ++d) {
    for (const int sentence : documents[d]) {
      for (int i = 0; i < sentence; ++i) text += words[first + d] + " ";
      text += "\n";
    }
    text += "\n";
  }
  return std::make_shared<const TokenCache>(TokenCache::open_or_build(
      folder.write(name + ".txt", text), folder.path() / (name + ".tokens"), tokenizer_of(words), {}));
}

}  // namespace cloze::test
