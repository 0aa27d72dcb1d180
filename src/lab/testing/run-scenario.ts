/** One run of a script in a lab of its own, under the virtual clock. */
import { Lab, type LabOptions } from '../lab.ts'

export type Scenario<T = unknown> = (lab: Lab) => T | Promise<T>

export interface ScenarioOptions extends Omit<LabOptions, 'clock' | 'probe' | 'seed'> {
  readonly seed: number | string
  /** A capture of the run goes there. */
  readonly capture?: string | undefined
}

/** Gives the scenario's result. Rejects with its error; the lab is closed either way. */
export async function runScenario<T>(scenario: Scenario<T>, { capture, ...options }: ScenarioOptions): Promise<T> {
  const lab = await Lab.create({ ...options, clock: 'virtual', probe: true })
  let result: T
  try {
    if (capture !== undefined) await lab.capture(capture)
    result = await lab.play(() => scenario(lab))
  } catch (error) {
    // The first error says why.
    await lab.close().catch(() => {})
    throw error
  }
  await lab.close()
  return result
}
