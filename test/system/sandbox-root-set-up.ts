import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { noSandbox } from './sandbox-set-up.ts'

const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'].find(existsSync)

const APPLETS =
  'sh ls cat xargs cut mount umount id ps ip rm mkdir echo sleep hostname domainname grep ping touch tty stty mknod pwd true env stat chmod dd sort head wc tail test kill'

/** Why roots cannot be tried here, or false. */
export const noRoot: string | false = noSandbox || (BUSYBOX === undefined && 'no busybox')

/** A scratch folder with an image of one layer: a static busybox and three users. */
export class ScratchImage {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'netloom-root-'))
  readonly layer = path.join(this.folder, 'layer')
  private containers = 0

  constructor() {
    for (const directory of ['bin', 'etc', 'tmp']) mkdirSync(path.join(this.layer, directory), { recursive: true })
    copyFileSync(BUSYBOX!, path.join(this.layer, 'bin/busybox'))
    for (const applet of APPLETS.split(' ')) symlinkSync('busybox', path.join(this.layer, 'bin', applet))
    writeFileSync(
      path.join(this.layer, 'etc/passwd'),
      'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\nnogroup:x:1001:1001::/:/bin/sh\n'
    )
    writeFileSync(path.join(this.layer, 'etc/group'), 'root:x:0:\nweb:x:1000:\nextra:x:5000:other,web\n')
  }

  /** A directory for one container. */
  container(): string {
    const directory = path.join(this.folder, 'containers', String(++this.containers))
    mkdirSync(directory, { recursive: true })
    return directory
  }

  /** Lists a tree with types, sizes, modes, owners and link targets: equal before and after when nothing was done to it. */
  static listing(tree: string): string {
    return spawnSync('find', [tree, '-xdev', '-printf', '%P %y %s %m %U:%G %l\n'], { encoding: 'utf8' }).stdout
  }

  remove(): void {
    rmSync(this.folder, { recursive: true })
  }
}
