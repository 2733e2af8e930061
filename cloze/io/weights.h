// The tensors of a model directory by name, whatever file they lie in and however the file spells the name.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cloze/io/bert_names.h"
#include "cloze/io/load_report.h"
#include "cloze/io/safetensors.h"

namespace cloze {

/// The integers that stand for inputs, x ~ scale (i - zero) with i in -128..127: "X.input_scale" of floats [1] and
/// "X.input_zero_point" I8 [1], 0 where there is none.
struct StoredInputs {
  float scale;  ///< finite, not negative
  int32_t zero;
};

/// A weight of 8 bits: "X.weight" I8 [M,K] with "X.weight_scale" of floats, [M,1] or [M]; its values are scale[m]
/// q[m,k].
struct StoredInt8 {
  Tensor values;                                      ///< [M,K] I8, as mapped
  Tensor scales;                                      ///< [M] F32, finite, not negative
  std::optional<StoredInputs> inputs = std::nullopt;  ///< where they are the same for all inputs
};

/// A weight without its zeros: "X.weight.compressed" of floats [n], "X.weight.bitmask" U8 [M, ceil(K/8)], the lowest
/// bit first, "X.weight.shape" I64 [2] and "X.weight.row_offsets" I64 [M], which is not needed. (The names are those of
/// the format "sparse-bitmask" of compressed-tensors.)
struct StoredSparse {
  Tensor bits;    ///< [M, ceil(K/8)] U8, as mapped
  Tensor values;  ///< [n] F32, row by row; as many as there are bits
};

/// Every `name` here may be spelled as canonical_bert_name() allows; it finds the tensor of the same canonical name.
/// Not thread-safe: it keeps track of what was read.
class Weights {
 public:
  /// Opens `dir`/model.safetensors, else the files of `dir`/model.safetensors.index.json; or `dir` itself if it is a
  /// .safetensors file. Errors: kNotFound (with what was looked for and what lies there instead), kIo; kFormat for a
  /// broken file, two tensors of one canonical name, or an index that its files do not bear out.
  explicit Weights(const Path& dir);

  /// The file or the index that was opened, for messages.
  const Path& source() const { return source_; }
  /// All files that were opened: what is not named by names() (scales, bits) may lie in one of its own.
  std::vector<Path> files() const;
  /// The file that holds `name`; source() if there is none.
  const Path& file_of(std::string_view name) const;
  bool has(std::string_view name) const { return lookup(name) != nullptr; }
  /// The shape, without counting the tensor as read. Errors: kUnsupported for more than Shape::kMaxRank dimensions.
  std::optional<Shape> shape_of(std::string_view name) const;
  /// How the file has it: kF32, or a half-width float (kF16, kBF16), in which it can be written again without loss.
  /// kF32 for any other type, and where there is none of that name.
  DType stored_type(std::string_view name) const;
  /// Whether it is a weight of 8 bits, which find() and get() give as floats. Its scales are no tensor of their own
  /// then.
  bool is_int8(std::string_view name) const;
  /// Whether it is stored without its zeros, with which find() and get() give it. It has its own name, X.weight, here;
  /// what it is made of are no tensors of their own.
  bool is_sparse(std::string_view name) const;
  /// All names as they stand in the files, in their order.
  std::vector<std::string> names() const;

  /// The tensor, or nullopt. Floats come as f32: mapped if the file has f32 (aligned for it, no further), else
  /// converted; other dtypes come as they are. Errors: kUnsupported.
  std::optional<Tensor> find(std::string_view name);
  /// The tensor, f32. Errors: kNotFound, kShape, kUnsupported (integers); they name file, tensor and both shapes.
  Tensor get(std::string_view name, const Shape& shape);
  /// A weight of 8 bits as it is. Errors: as get(); kUnsupported for anything else; kShape and kValue of its scales.
  StoredInt8 get_int8(std::string_view name, const Shape& shape);
  /// A weight without its zeros. Errors: as get(); kUnsupported for anything else; kShape, kValue of what it is made
  /// of.
  StoredSparse get_sparse(std::string_view name, const Shape& shape);

  /// What was not asked for so far, as named in the files; without, and only, the redundant names.
  std::vector<std::string> unused() const { return report().unused; }
  std::vector<std::string> ignored() const { return report().ignored; }
  /// `initialised` is left empty.
  LoadReport report() const;

 private:
  struct Entry {
    size_t file;
    const StoredTensor* stored;
    std::string canonical;
    bool read;
    bool part = false;  ///< of another tensor
    /// Of a weight without its zeros, which `stored` is made up for; else null.
    const StoredTensor *values = nullptr, *bits = nullptr;
    size_t file_of_bits = 0;
    size_t made_up = 0;  ///< of its numbers: where it is among the entries; else 0
  };
  void open_file(const Path& path);
  void open_shards(const Path& dir);
  void add(size_t file, const StoredTensor& stored);
  const Entry* lookup(std::string_view name) const;
  /// The scales of a weight of 8 bits; nullptr for anything else.
  const Entry* scales_of(const Entry& entry) const;
  void pair_parts();
  /// Puts in a weight that is stored without its zeros; `values` is the place of its numbers among the entries.
  void make_up(size_t values);
  const Entry& require(std::string_view name, const Shape& shape) const;
  /// Beside "X.weight" what is called "X." with `rest`; nullptr where there is none.
  const Entry* beside(const Entry& entry, std::string_view rest) const;
  StoredInt8 read_int8(const Entry& entry);
  std::optional<StoredInputs> read_inputs(const Entry& entry);
  StoredSparse read_sparse(const Entry& entry);
  void mark_read(const Entry& entry) { entries_[static_cast<size_t>(&entry - entries_.data())].read = true; }

  Path source_;
  std::vector<SafetensorsFile> files_;
  std::vector<Entry> entries_;
  std::deque<StoredTensor> made_up_;  ///< for weights without their zeros
  std::unordered_map<std::string, size_t> by_canonical_;
  std::vector<std::string> unlisted_;  ///< in a shard, but not in the index
};

/// Throws kValue if a float tensor holds NaN or infinities: how many of each, and where the first stands. Tensors of
/// integers pass. `file` names the file in the message.
void check_finite(const Tensor& tensor, std::string_view name, std::string_view file);

}  // namespace cloze
