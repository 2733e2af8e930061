// Configuration fields listed once: defaults, command-line options, JSON and strict parsing come from one list.
//
// A configuration is a struct with a member function template
//   template <class Visitor> void visit(Visitor& visitor) {
//     visitor("learning_rate", learning_rate, "highest learning rate");
//   }
// whose fields are int64_t, double, bool or std::string. The command line shows `learning_rate` as --learning-rate.
#pragma once

#include <string>

#include "cloze/base/error.h"
#include "cloze/base/json.h"

namespace cloze {

template <class Config>
Json fields_to_json(Config config) {
  Json object = Json::object();
  const auto add = [&](const char* name, const auto& value, const char*) { object[name] = value; };
  config.visit(add);
  return object;
}

/// Lines "name: was 1, is now 2" for the fields in which two objects differ ("outer.inner" within nested ones); empty
/// if none does.
std::string describe_differences(const Json& before, const Json& now);

}  // namespace cloze
