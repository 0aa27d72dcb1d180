#include "root_layers.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cstring>

#include "../common/system_error.h"
#include "copy_tree.h"
#include "host_layers.h"
#include "overlay.h"
#include "rooted_path.h"

namespace netloom::shim {
namespace {

void mountImage(const RootOptions& options, const Stage& stage, int base, const std::string& target, std::vector<std::string>& warnings) {
  std::vector<UniqueFd> layers;
  std::vector<int> lower;
  for (size_t i = options.layers.size(); i-- > 0;) {
    UniqueFd& layer = layers.emplace_back(open(options.layers[i].c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!layer) throwErrno("open", options.layers[i]);
    lower.push_back(layer.get());
  }
  if (lower.empty()) {  // an image without files
    if (mkdirat(stage.directory.get(), "empty", 0755) < 0) throwErrno("mkdir", "empty");
    layers.emplace_back(openat(stage.directory.get(), "empty", O_PATH | O_DIRECTORY | O_CLOEXEC));
    lower.push_back(layers.back().get());
  }
  const UpperLayer upper = openUpper(base);
  const int error = mountOverlay(lower, &upper, target, options.userNamespace);
  if (error == 0) return;
  warnings.push_back("the image's files were copied: no overlay in " + options.directory + " (" + std::strerror(error) + ")");
  const UniqueFd copy = copyLayers(options.layers, base);
  if (mount(pathOf(copy).c_str(), target.c_str(), nullptr, MS_BIND, nullptr) < 0) throwErrno("mount MS_BIND", target);
}

}  // namespace

std::string mountLayers(const RootOptions& options, std::vector<std::string>& warnings) {
  const UniqueFd base(open(options.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!base) throwErrno("open", options.directory);
  // The directory itself is where the tree is put together: nobody else sees what is mounted over it here.
  Stage stage{options.directory, {}};
  if (mount("netloom", stage.path.c_str(), "tmpfs", MS_NOSUID, "mode=755") < 0) throwErrno("mount tmpfs", stage.path);
  stage.directory = UniqueFd(open(stage.path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!stage.directory) throwErrno("open", stage.path);
  const std::string target = stage.path + "/root";
  if (mkdirat(stage.directory.get(), "root", 0755) < 0) throwErrno("mkdir", target);
  if (options.host) mountHostLayers(options, stage, base.get(), target, warnings);
  else mountImage(options, stage, base.get(), target, warnings);
  return target;
}

}  // namespace netloom::shim
