/** The sentences of the extcap protocol (Wireshark's doc/extcap.adoc): what Wireshark asks before it captures. */
import type { ExtcapInterface } from './extcap-interfaces.ts'

/** Numbers of the toolbar's controls. */
export const Control = { delay: 0, loss: 1, rate: 2, direction: 3, clear: 4, log: 5 } as const

const CONTROLS = `\
control {number=${Control.delay}}{type=string}{display=Delay}{tooltip=Delay of the captured link, with jitter or not: 50ms, or 50ms 5ms distribution normal}
control {number=${Control.loss}}{type=string}{display=Loss}{tooltip=Share of frames that the captured link loses: 1%, or gemodel 1% 10%}
control {number=${Control.rate}}{type=string}{display=Rate}{tooltip=Bit rate of the captured link: 10mbit}
control {number=${Control.direction}}{type=selector}{display=Direction}{tooltip=Which direction the settings are for}
value {control=${Control.direction}}{value=both}{display=both}{default=true}
value {control=${Control.direction}}{value=out}{display=what it sends}{default=false}
value {control=${Control.direction}}{value=in}{display=what it gets}{default=false}
control {number=${Control.clear}}{type=button}{display=Clear}{tooltip=Take all settings of the captured link away}
control {number=${Control.log}}{type=button}{role=logger}{display=Log}{tooltip=What was set}
`

export function interfacesAnswer(version: string, interfaces: readonly ExtcapInterface[]): string {
  const rows = interfaces.map(({ value, display }) => `interface {value=${value}}{display=${display}}\n`)
  return `extcap {version=${version}}{display=netloom}\n${rows.join('')}${interfaces.length === 0 ? '' : CONTROLS}`
}

/** LINKTYPE_ETHERNET, the same for all. */
export const DLTS_ANSWER = 'dlt {number=1}{name=EN10MB}{display=Ethernet}\n'

/** What can be chosen for an interface; the same for all. */
export const CONFIG_ANSWER = `\
arg {number=0}{call=--snaplen}{display=Bytes kept of each frame}{tooltip=0 keeps whole frames}{type=unsigned}{range=0,262144}{default=0}
arg {number=1}{call=--segment}{display=Cut super-frames into packets}{tooltip=Of segmentation offloading, as on a wire}{type=boolflag}{default=false}
arg {number=2}{call=--every-port}{display=Record a frame at each port}{tooltip=Not only where it first appears}{type=boolflag}{default=false}
arg {number=3}{call=--no-drops}{display=Leave out dropped frames}{tooltip=They are shown with the reason otherwise}{type=boolflag}{default=false}
`
