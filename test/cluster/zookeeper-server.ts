// A single ZooKeeper on the loopback, from Debian's package.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { freePorts, programMissing, StoreServer } from './store-server.ts'

const JAR = '/usr/share/java/zookeeper.jar'
export const zooKeeperMissing =
  programMissing('java', 'default-jre-headless') || (existsSync(JAR) ? false : 'ZooKeeper (zookeeper) is not installed')

/** Program and arguments of one server with its data in `folder`. */
export function zooKeeperCommand(folder: string, address: string, port: number): string[] {
  mkdirSync(`${folder}/data`, { recursive: true })
  writeFileSync(
    `${folder}/zoo.cfg`,
    [
      `dataDir=${folder}/data`,
      `clientPort=${port}`,
      `clientPortAddress=${address}`,
      'tickTime=1000',
      'admin.enableServer=false',
      'forceSync=no',
      '4lw.commands.whitelist=srvr',
      ''
    ].join('\n')
  )
  // Small and quick to start: it serves one test.
  const java = ['java', '-Xmx128m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Dzookeeper.extendedTypesEnabled=true']
  return [...java, '-cp', `${folder}:${JAR}`, 'org.apache.zookeeper.server.quorum.QuorumPeerMain', `${folder}/zoo.cfg`]
}

export async function startZooKeeper(): Promise<StoreServer> {
  // A port that nobody had a moment ago may have gone to somebody else.
  for (let attempt = 1; ; attempt++) {
    const [port] = await freePorts(1)
    const server = new StoreServer(port, (folder) => zooKeeperCommand(folder, '127.0.0.1', port))
    try {
      await server.start(() => isServing(port))
      return server
    } catch (error) {
      await server.close()
      if (attempt === 3) throw error
    }
  }
}

/** The port answers some time before requests do. */
export async function isServing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    let text = ''
    const socket = net.connect(port, '127.0.0.1', () => socket.write('srvr'))
    socket.on('data', (data) => (text += data))
    socket.on('error', () => resolve(false))
    socket.on('close', () => resolve(text.includes('Mode:')))
  })
}
