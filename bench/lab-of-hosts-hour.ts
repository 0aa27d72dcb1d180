// An hour of 1,000 virtual hosts, each with one DNS query and one UDP echo a second: node dist/bench/lab-of-hosts-hour.js [HOSTS] [SECONDS]
import { runLabOfHosts } from './lab-of-hosts.ts'

const [hosts, seconds] = [process.argv[2] ?? 1000, process.argv[3] ?? 3600].map(Number)
const begun = performance.now()
const { setUpSeconds, speed, cpuPerExchange, rssMiB } = await runLabOfHosts({ hosts, seconds, spread: true })
const elapsed = (performance.now() - begun) / 1e3
console.log(
  `${seconds} s of ${hosts} hosts in ${elapsed.toFixed(1)} s (set-up ${setUpSeconds.toFixed(1)} s, ${speed.toFixed(1)} lab seconds a second, ` +
    `${cpuPerExchange.toFixed(2)} us of CPU an exchange, ${rssMiB.toFixed(0)} MiB)`
)
