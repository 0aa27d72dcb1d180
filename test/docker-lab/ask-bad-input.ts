// Sets the scene and asks every question of bad-input-cases.ts, in order, over one connection.
import { ApiConnection } from './api-connection.ts'
import { BAD_INPUT, judged, type RecordedAnswer, SET_UP } from './bad-input-cases.ts'

/** `answered` hears each answer as it comes. Things that a request made all the same are removed before the next. */
export async function askBadInput(socketPath: string, answered?: (answer: RecordedAnswer) => void): Promise<RecordedAnswer[]> {
  const api = new ApiConnection(socketPath)
  const answers: RecordedAnswer[] = []
  try {
    for (const [request, body] of SET_UP) {
      const [method, path] = request.split(' ') as [string, string]
      await api.ok(method, path, body)
    }
    for (const input of BAD_INPUT) {
      const [method, ...rest] = input.request.split(' ')
      const path = encodeURI(rest.join(' ')).replaceAll('%25', '%')
      const answer = await api.request(method!, path, input.body, input.headers)
      const judgement = judged(input, answer)
      answers.push(judgement)
      answered?.(judgement)
      // A create that was not so bad: the next one with the same name must not meet it.
      const made = /^POST \/(networks|containers)\/create/.exec(input.request)
      if (made && answer.status === 201) await api.ok('DELETE', `/${made[1]}/${(JSON.parse(answer.text) as { Id: string }).Id}`)
    }
  } finally {
    api.close()
  }
  return answers
}
