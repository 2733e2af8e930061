// A small corpus and runs of `cloze pretrain` on it.
#pragma once

#include <set>
#include <sstream>

#include "program.h"

namespace cloze::test {

/// Documents of a few sentences, made of the English samples' texts.
inline std::string corpus_of_samples(int copies = 1) {
  std::string corpus;
  for (int copy = 0; copy < copies; ++copy) {
    std::istringstream rows(read_file(sample("reviews_en.train.tsv")));
    std::string row;
    std::getline(rows, row);  // names of columns
    for (int i = 0; std::getline(rows, row); ++i)
      corpus += row.substr(row.find('\t') + 1) + (i % 4 == 3 ? "\n\n" : "\n");
  }
  return corpus;
}

/// Options of a pretraining in `place`, without --steps where `more` has a time.
inline std::string small_pretraining(const Workplace& place, const std::string& output, const std::string& more) {
  if (!std::filesystem::exists(place / "corpus.txt")) place.write("corpus.txt", corpus_of_samples());
  std::string options = "pretrain --vocab " + sample("vocab_en.txt") +
                        " --layers 1 --heads 2 --max-length 32 --corpus " + (place / "corpus.txt").string() +
                        " --learning-rate 1e-3 " + more;
  if (more.find("--heldout") == std::string::npos) options += " --heldout 0.1";
  if (!output.empty()) options += " --output " + (place / output).string();
  return options;
}

/// The same for a moment.
inline std::string quick_pretraining(const Workplace& place, const std::string& output, const std::string& more = "") {
  const std::string steps = more.find("--time-budget") == std::string::npos ? "--steps 6 " : "";
  return small_pretraining(place, output,
                           "--hidden 32 --batch-size 8 --evaluation-rows 32 --threads 1 " + steps + more);
}

}  // namespace cloze::test
