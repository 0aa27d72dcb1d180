/** In which order services come: each after those that it waits for, else as in the file. */
import type { Service } from './service.ts'

/** Throws LabFileError for a service that waits for itself, by however many others. */
export function startOrder<T extends Service>(services: readonly T[]): T[] {
  const byName = new Map(services.map((service) => [service.name, service]))
  const done = new Set<string>()
  const ordered: T[] = []
  const visit = (service: T, way: readonly string[]): void => {
    if (done.has(service.name)) return
    for (const { service: name, at } of service.dependencies) {
      if (name === service.name || way.includes(name))
        at.fail(`services wait for each other in a circle: ${[...way, service.name, name].join(' -> ')}`)
      visit(byName.get(name)!, [...way, service.name])
    }
    done.add(service.name)
    ordered.push(service)
  }
  for (const service of services) visit(service, [])
  return ordered
}
