// Compressed models of one whole: which of them is the one to take, and what each costs.
#pragma once

#include <string>
#include <vector>

#include "cloze/compress/judge.h"
#include "cloze/compress/measure_models.h"

namespace cloze {

struct Candidate {
  std::string name;   ///< "whole", "2.0x", "2.0x int8", …
  std::string shape;  ///< heads/neurons by layer
  Path folder;
  ModelSize size{0, 0};
  double seconds = 0;  ///< of the pass that was timed
  Judgement judged;
};

struct FrontGoal {
  double speedup = 2;   ///< times as fast as the first candidate, which is the whole model
  double max_drop = 1;  ///< points of 100 of the headline metric
};

/// Points of 100 of the headline metric that a candidate has more than the first.
double gain_of(const Candidate& whole, const Candidate& candidate);
/// None is at once as fast or faster and as good or better, and one of both.
bool on_front(const std::vector<Candidate>& all, const Candidate& candidate);
/// Among those that keep within the drop: the best of those that are fast enough, else the fastest. Of equal ones the
/// smaller. The whole model itself if no other keeps within.
const Candidate& choose(const std::vector<Candidate>& all, const FrontGoal& goal);
/// Why that one, in a sentence, and whether it reaches the goal.
std::string reason(const std::vector<Candidate>& all, const FrontGoal& goal);

/// An aligned table for people; a page of its own with the plot of accuracy against latency. `pass` says what was
/// timed: "32 x 64 tokens".
std::string front_table(const std::vector<Candidate>& all, const FrontGoal& goal);
std::string front_page(const std::vector<Candidate>& all, const FrontGoal& goal, const std::string& title,
                       const std::string& pass);
/// One JSON object.
std::string candidate_line(const std::vector<Candidate>& all, const Candidate& candidate, const FrontGoal& goal);

}  // namespace cloze
