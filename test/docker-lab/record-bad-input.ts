// Asks a real dockerd every question of bad-input-cases.ts and writes bad-input.json. As root, with Debian's docker.io:
//   npm run build && node dist/test/docker-lab/record-bad-input.js
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { askBadInput } from './ask-bad-input.ts'
import { DockerLab, labMissing, ROOT } from './docker-lab.ts'

const reason = labMissing('dockerd')
if (reason !== false) throw new Error(reason)
const lab = new DockerLab('rec', 'dockerd')
try {
  await lab.up()
  const answers = await askBadInput(lab.socket)
  const file = path.join(ROOT, 'test/docker-lab/bad-input.json')
  writeFileSync(file, `[\n${answers.map((answer) => JSON.stringify(answer)).join(',\n')}\n]\n`)
  console.log(`${answers.length} answers in ${file}`)
} finally {
  lab.down()
}
