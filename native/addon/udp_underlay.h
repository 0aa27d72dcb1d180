// What both directions of the UDP underlay know of its frames: Ethernet, IP without options, UDP, VXLAN, inner frame.
#pragma once

#include <napi.h>

namespace netloom {

constexpr int kEthernetHeader = 14;
constexpr int kIpv4Header = 20;
constexpr int kIpv6Header = 40;
constexpr int kUdpHeader = 8;
constexpr int kVxlanHeader = 8;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;

void registerUdpUnderlayReceive(Napi::Env env, Napi::Object exports);
void registerUdpUnderlaySend(Napi::Env env, Napi::Object exports);

}  // namespace netloom
