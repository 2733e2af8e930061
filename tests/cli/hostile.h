// A tiny valid model directory, made once by the library, and what every refusal must keep to.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "cloze/base/json.h"
#include "cloze/model/checkpoint.h"
#include "cloze/model/heads.h"
#include "cloze/text/tokenizer.h"
#include "program.h"

namespace cloze::test {

/// The files of a text classifier (labels neg and pos) of 1 layer of width 8, as bytes to be damaged.
struct TinyModel {
  std::string config, vocab, weights;

  static const TinyModel& get() {
    static const TinyModel model = make();
    return model;
  }

  void write(const Path& dir) const {
    make_folder(dir);
    write_file(dir / "config.json", config);
    write_file(dir / "vocab.txt", vocab);
    write_file(dir / "model.safetensors", weights);
  }

  /// Bytes of the data in `weights`, which follow the header.
  std::string header() const { return weights.substr(8, header_bytes()); }
  std::string data() const { return weights.substr(8 + header_bytes()); }
  /// `weights` with another header; its announced length may lie.
  static std::string file_of(const std::string& header, const std::string& data, int64_t announced = -1) {
    const uint64_t length = announced < 0 ? header.size() : static_cast<uint64_t>(announced);
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    return bytes + header + data;
  }
  void edit_header(const std::function<void(Json&)>& edit) {
    Json json = Json::parse(header());
    edit(json);
    weights = file_of(json.dump(), data());
  }
  void edit_config(const std::function<void(Json&)>& edit) {
    Json json = Json::parse(config);
    edit(json);
    config = json.dump();
  }

 private:
  size_t header_bytes() const {
    uint64_t length = 0;
    std::memcpy(&length, weights.data(), sizeof length);
    return length;
  }

  static TinyModel make() {
    TinyModel model;
    for (const char* piece : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "x", "y", "z"})
      model.vocab += std::string(piece) + "\n";
    BertConfig config;
    config.num_hidden_layers = 1;
    config.hidden_size = 8;
    config.num_attention_heads = 2;
    config.intermediate_size = 16;
    config.vocab_size = 10;
    config.max_position_embeddings = 32;
    config.labels = {"neg", "pos"};
    config.architecture = "BertForSequenceClassification";
    config.cloze["task"] = "text-classification";
    model.config = dump_json(config.to_json());
    Bert bert(config, Pooler::kWith);
    ClassifierHead head(config, 2);
    ParameterList parameters;
    bert.collect(parameters);
    head.collect(parameters);
    for (Parameter* parameter : parameters) parameter->initialize(1, 0.1);
    const Workplace place;
    save_parameters(ModelFiles::create(place / "m"), parameters);
    model.weights = read_file(place / "m" / "model.safetensors");
    return model;
  }
};

/// A folder $D with a model $M in it. Commands are shell: $CLOZE is the program, $SCRATCH the options of a training
/// that takes milliseconds but for --train and --output.
class HostilePlace : public Workplace {
 public:
  explicit HostilePlace(const TinyModel& model = TinyModel::get()) { model.write(*this / "m"); }

  Outcome run(const std::string& command, const std::string& input = "") const {
    const std::string dir = (*this / "").string();
    return shell("CLOZE='" CLOZE_BINARY "'; D='" + dir + "'; M=\"${D}m\"\n" +
                     "SCRATCH=\"--task text-classification --from-scratch --vocab $M/vocab.txt --layers 1 --hidden 8 "
                     "--heads 2 --epochs 1 --threads 1\"\n" +
                     command,
                 input);
  }

  /// Everything below, as paths in this folder, but for the streams of the last command.
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(*this / ""))
      names.push_back(std::filesystem::relative(entry.path(), *this / "").string());
    std::erase_if(names, [](const std::string& n) { return n == "stdin" || n == "stdout" || n == "stderr"; });
    std::ranges::sort(names);
    return names;
  }
};

/// The program ended by itself with `exit_code`, said each of `words`, left no half line on stdout, and nothing
/// temporary in the folder. A "%" in `words` stands for the folder.
inline void expect_outcome(const HostilePlace& place, const Outcome& outcome, int exit_code,
                           const std::vector<std::string>& words) {
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
  for (std::string word : words) {
    if (const size_t at = word.find('%'); at != std::string::npos) word.replace(at, 1, (place / "").string());
    EXPECT_THAT(outcome.err, ::testing::HasSubstr(word));
  }
  EXPECT_THAT(outcome.err, ::testing::Not(::testing::HasSubstr("internal error")));
  EXPECT_TRUE(outcome.out.empty() || outcome.out.ends_with('\n')) << outcome.out;
  for (const std::string& name : place.files())
    EXPECT_EQ(name.find(".tmp-"), std::string::npos) << name << " stayed behind";
}

/// A message has one line, names where, and holds no control characters.
inline void expect_one_line(const Outcome& outcome) {
  EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
  EXPECT_THAT(outcome.err, ::testing::StartsWith("cloze: "));
  EXPECT_TRUE(std::ranges::none_of(outcome.err, [](unsigned char c) { return c < 0x20 && c != '\n' && c != '\t'; }));
}

}  // namespace cloze::test
