// A page's scatter plot: what something is worth against what it costs.
#pragma once

#include <string>
#include <vector>

namespace cloze {

struct ScatterPoint {
  std::string name;
  double cost;              ///< above 0, on a logarithmic axis
  double worth, low, high;  ///< shares, with their interval
  bool picked = false;
};

struct ScatterAxes {
  std::string label;      ///< of the whole, for those who cannot see it
  std::string cost_unit;  ///< "s"
  std::string cost_name;  ///< "training time"
};

/// An <svg> element. At least one point.
std::string scatter_plot(const std::vector<ScatterPoint>& points, const ScatterAxes& axes);

/// The style of a report with such a plot and a table, for <style>: light and dark.
const char* report_style();

}  // namespace cloze
