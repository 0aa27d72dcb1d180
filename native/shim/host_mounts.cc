#include "host_mounts.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <sstream>

namespace netloom::shim {
namespace {

struct MountLine {
  std::string point, type, source, options;
};

/// The kernel writes a space in a path as \040.
std::string unescape(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>(std::strtol(text.substr(i + 1, 3).c_str(), nullptr, 8));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

void forEachMount(const std::function<void(const MountLine&)>& visit) {
  FILE* file = fopen("/proc/self/mountinfo", "re");
  if (!file) return;
  char* line = nullptr;
  size_t capacity = 0;
  while (getline(&line, &capacity, file) > 0) {
    std::istringstream words{std::string(line)};
    MountLine found;
    std::string word;
    for (int i = 0; i < 4; i++) words >> word;  // id, parent, device, root
    words >> word;
    found.point = unescape(word);
    while (words >> word && word != "-") {
    }
    words >> found.type >> found.source >> found.options;
    visit(found);
  }
  free(line);
  fclose(file);
}

}  // namespace

std::vector<std::string> diskMounts() {
  constexpr const char* kPooled[] = {"overlay", "zfs", "btrfs", "9p", "virtiofs", "erofs", "squashfs", "bcachefs"};
  std::vector<std::string> points;
  forEachMount([&](const MountLine& line) {
    const bool pooled = std::find(std::begin(kPooled), std::end(kPooled), line.type) != std::end(kPooled);
    struct stat found;
    if (!pooled && line.source.compare(0, 5, "/dev/") != 0) return;
    if (stat(line.point.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) points.push_back(line.point);
  });
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  return points;
}

std::string findMount(const std::string& type, const std::string& word) {
  std::string point;
  forEachMount([&](const MountLine& line) {
    if (line.type == type && point.empty() && (word.empty() || ("," + line.options + ",").find("," + word + ",") != std::string::npos)) point = line.point;
  });
  return point;
}

}  // namespace netloom::shim
