/**
 * Bars with their intervals as an SVG, drawn by echarts on the server side (no browser).
 */
import { BarChart, CustomChart } from 'echarts/charts'
import { GridComponent, TitleComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import type { Chart, Metric } from './bench-suite.ts'
import { estimate } from './system/statistics.ts'

use([BarChart, CustomChart, GridComponent, TitleComponent, SVGRenderer])

const WIDTH = 960
const BAR = 26
const HEAD = 56
const LABELS = 300

/** All charts of a suite below each other. */
export function barCharts(charts: readonly Chart[], metrics: readonly Metric[]): string {
  const byName = new Map(metrics.map((metric) => [metric.name, metric]))
  const heights = charts.map(({ bars }) => HEAD + bars.length * BAR + 30)
  const height = heights.reduce((sum, each) => sum + each, 0)
  const tops = heights.map((_, index) => heights.slice(0, index).reduce((sum, each) => sum + each, 0))
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: Math.max(1, height) })
  const estimates = charts.map(({ bars }) => bars.map(({ metric }) => estimate(byName.get(metric)?.samples ?? [])))
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: charts.map(({ title, unit }, index) => ({
      text: `${title}, ${unit}`,
      left: 12,
      top: tops[index] + 10,
      textStyle: { fontSize: 15 }
    })),
    grid: charts.map(({ bars }, index) => ({ left: LABELS, right: 90, top: tops[index] + HEAD - 14, height: bars.length * BAR })),
    xAxis: charts.map((_, index) => ({ type: 'value', gridIndex: index, min: 0 })),
    yAxis: charts.map(({ bars }, index) => ({
      type: 'category',
      gridIndex: index,
      inverse: true,
      data: bars.map(({ label }) => label),
      axisTick: { show: false },
      axisLabel: { width: LABELS - 20, overflow: 'truncate' }
    })),
    series: charts.flatMap((_, index) => [
      {
        type: 'bar',
        xAxisIndex: index,
        yAxisIndex: index,
        barWidth: '62%',
        itemStyle: { color: '#4575b4' },
        label: { show: true, position: 'insideLeft', color: '#ffffff', formatter: ({ value }: { value: number }) => short(value) },
        data: estimates[index].map(({ median }) => median)
      },
      {
        type: 'custom',
        xAxisIndex: index,
        yAxisIndex: index,
        z: 5,
        data: estimates[index].map(({ low, high }, row) => [low, high, row]),
        renderItem: whisker
      }
    ])
  } as never)
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

interface CustomApi {
  value(dimension: number): number
  coord(point: [number, number]): [number, number]
}

/** The interval of one bar: a line from low to high with a stroke at each end. */
function whisker(_: unknown, api: CustomApi): object {
  const [from, y] = api.coord([api.value(0), api.value(2)])
  const [to] = api.coord([api.value(1), api.value(2)])
  const line = (x1: number, y1: number, x2: number, y2: number) => ({
    type: 'line',
    shape: { x1, y1, x2, y2 },
    style: { stroke: '#222222' }
  })
  return { type: 'group', children: [line(from, y, to, y), line(from, y - 4, from, y + 4), line(to, y - 4, to, y + 4)] }
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
