#include <fmt/format.h>

#include "cloze/base/html.h"
#include "cloze/base/scatter.h"
#include "cloze/compress/front.h"

namespace cloze {
namespace {

/// The headline's 95 % interval; of metrics that are no share of rows, none.
Interval interval_of(const Candidate& c) {
  const double worth = c.judged.headline().second;
  if (c.judged.right.empty()) return {worth, worth};
  return wilson_interval(c.judged.right_count(), c.judged.rows);
}

std::string table(const std::vector<Candidate>& all, const FrontGoal& goal) {
  const Candidate &whole = all[0], &best = choose(all, goal);
  std::string rows;
  for (const Candidate& c : all) {
    const Interval interval = interval_of(c);
    std::string test = "–";
    if (&c != &whole && !c.judged.right.empty()) {
      const PairedCounts counts = pair_up(whole.judged, c.judged);
      const Interval gap = difference_interval(counts);
      test = fmt::format("{:+.1f} ({:+.1f} to {:+.1f}), p {:.2g}", 100 * counts.difference(), 100 * gap.low,
                         100 * gap.high, mcnemar_exact(counts));
    }
    rows += fmt::format(
        R"(<tr{}><th scope="row">{}<small>{}</small></th><td>{:.2f} ms</td><td>{:.2f}</td><td>{:.1f}</td><td>{:.1f} %</td><td>{:.1f}–{:.1f}</td><td>{}</td></tr>)",
        &c == &best ? R"( class="pick")" : "", escape_html(c.name), escape_html(c.shape), 1e3 * c.seconds,
        whole.seconds / c.seconds, static_cast<double>(c.size.bytes) / 1e6, 100 * c.judged.headline().second,
        100 * interval.low, 100 * interval.high, test);
  }
  return fmt::format(
      "<table><thead><tr><th>model</th><th>a pass</th><th>times as fast</th><th>MB</th><th>{}</th>"
      "<th>95 %</th><th>points against the whole</th></tr></thead><tbody>{}</tbody></table>",
      escape_html(whole.judged.headline().first), rows);
}

}  // namespace

std::string front_page(const std::vector<Candidate>& all, const FrontGoal& goal, const std::string& title,
                       const std::string& pass) {
  const Candidate& best = choose(all, goal);
  std::vector<ScatterPoint> points;
  for (const Candidate& c : all) {
    const Interval interval = interval_of(c);
    points.push_back({c.name, 1e3 * c.seconds, c.judged.headline().second, interval.low, interval.high, &c == &best});
  }
  return fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>{0}</title><style>{1}</style></head><body><h1>{0}</h1>"
      "<p>{2}.</p>{3}{4}<p>A pass is {5}, the least of several, models in turns on this machine. Bars are 95 % "
      "intervals "
      "(Wilson); differences are on the same rows, with McNemar's exact test. Under each name: heads/neurons of each "
      "layer.</p></body></html>\n",
      escape_html(title), report_style(), escape_html(reason(all, goal)),
      scatter_plot(points, {all[0].judged.headline().first + " against latency", "ms", "latency of " + pass}),
      table(all, goal), escape_html(pass));
}

}  // namespace cloze
