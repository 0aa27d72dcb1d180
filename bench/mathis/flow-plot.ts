/** The experiment's flows as an SVG: a point for each, the mean's interval as a band, the bounds as lines. */
import { ScatterChart } from 'echarts/charts'
import { GridComponent, MarkAreaComponent, MarkLineComponent, TitleComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import { INDEPENDENT, type MathisTrial, type MeanInterval, mathisBound, PERIODIC } from './theory.ts'

use([GridComponent, MarkAreaComponent, MarkLineComponent, ScatterChart, SVGRenderer, TitleComponent])

/** `interval` in bit/s. */
export function flowPlot(trials: readonly MathisTrial[], interval: MeanInterval): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 960, height: 420 })
  const mbit = (bitsPerSecond: number): number => Number((bitsPerSecond / 1e6).toFixed(3))
  const bound = (constant: number): number => mbit(mathisBound(constant, trials[0]!.mss))
  const values = trials.map(({ bitsPerSecond }) => mbit(bitsPerSecond))
  const line = (name: string, at: number, color: string, position: string) => ({
    name,
    yAxis: at,
    lineStyle: { color, type: 'dashed' },
    label: { formatter: `${name}: ${at.toFixed(2)}`, position, color }
  })
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: {
      text: 'TCP Reno over 100 Mbit/s, 40 ms, 0.1 % loss: payload received, Mbit/s',
      left: 12,
      top: 10,
      textStyle: { fontSize: 15 }
    },
    grid: { left: 60, right: 190, top: 50, bottom: 50 },
    xAxis: { type: 'category', name: 'seed', nameLocation: 'middle', nameGap: 28, data: trials.map(({ seed }) => String(seed)) },
    yAxis: {
      type: 'value',
      min: Math.floor(Math.min(...values, bound(PERIODIC)) - 1),
      max: Math.ceil(Math.max(...values, bound(INDEPENDENT)) + 1)
    },
    series: [
      {
        type: 'scatter',
        data: values,
        symbolSize: 9,
        itemStyle: { color: '#4575b4' },
        markArea: {
          silent: true,
          itemStyle: { color: '#4575b433' },
          data: [[{ yAxis: mbit(interval.low) }, { yAxis: mbit(interval.high) }]]
        },
        markLine: {
          silent: true,
          symbol: 'none',
          data: [
            line('mean', mbit(interval.mean), '#4575b4', 'end'),
            line('C = 1.22 (periodic)', bound(PERIODIC), '#d73027', 'end'),
            line('C = 1.31 (independent)', bound(INDEPENDENT), '#d73027', 'end')
          ]
        }
      }
    ]
  } as never)
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}
