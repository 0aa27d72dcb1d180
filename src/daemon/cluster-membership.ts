import { HostProbe } from '../cluster/host-probe.ts'
import { openClusterStore } from '../cluster/open-cluster-store.ts'
import { realTimers } from '../engine/clock.ts'
import { loadNative } from '../io/load-native.ts'
import { clusterSetting } from './cluster-setting.ts'
import type { DaemonConfig } from './daemon-config.ts'
import type { ClusterMembership } from './docker-host.ts'
import { makeUnderlay } from './make-underlay.ts'

/**
 * What the settings say of a cluster; undefined: the daemon is on its own. Throws DaemonError, ClusterError `invalid`.
 * @param stateDirectory where an underlay writes down what it changes on the machine
 */
export function clusterMembership(
  config: DaemonConfig,
  stateDirectory: string,
  log: (message: string) => void
): ClusterMembership | undefined {
  const setting = clusterSetting(config)
  if (setting === undefined) return undefined
  const { store, options, advertise, address } = setting
  const world = { native: loadNative(), stateDirectory, log }
  return {
    store: openClusterStore(store, options),
    underlay: () => makeUnderlay(config.underlay, world),
    address,
    vxlanPort: config['overlay-port'],
    advertise,
    isReachable: HostProbe.asker(realTimers),
    // Without it the daemon is one of the cluster all the same; alone without the store it would be taken for dead.
    answerProbes: (id) =>
      HostProbe.listen(advertise, id).catch((error: Error) => {
        log(`nobody can ask this host whether it lives: ${error.message}`)
        return undefined
      })
  }
}
