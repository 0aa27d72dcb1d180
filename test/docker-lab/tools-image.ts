// The oracle's image `tools` with a socat that answers every time.
//
// The recorded server `socat UDP-RECVFROM:53,fork SYSTEM:'echo pong'` runs a command that does not read what it is given. Where that
// command ends before socat has written the request into its pipe, socat ends by EPIPE and the answer is never sent: on a busy machine
// a third of them, on plain loopback too, with no network of anybody's between. Here the command reads its line first.
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { DockerLab } from './docker-lab.ts'

const SOCAT = `#!/bin/sh
for word; do
  case $word in SYSTEM:echo*) word="SYSTEM:read request; \${word#SYSTEM:}" ;; esac
  set -- "$@" "$word"
  shift
done
exec /bin/real/socat "$@"
`

/** After `mkimages`, which leaves what it imported in the lab's folder. */
export async function mendTools(lab: DockerLab): Promise<void> {
  const root = path.join(lab.folder, 'rootfs/tools')
  mkdirSync(path.join(root, 'bin/real'))
  // Its variables are called after the program: it keeps its name.
  renameSync(path.join(root, 'bin/socat'), path.join(root, 'bin/real/socat'))
  writeFileSync(path.join(root, 'bin/socat'), SOCAT)
  chmodSync(path.join(root, 'bin/socat'), 0o755)
  const before = await lab.ok('images', '-q', 'tools')
  const tag = `docker import -c 'ENV PATH=/bin:/sbin:/usr/bin:/usr/sbin' -c 'CMD ["sh"]' - tools`
  await lab.must('sh', '-c', `tar -C ${root} -c . | ${tag}`)
  await lab.must('docker', 'rmi', before)
}
