import type { resources as english } from "../en/resources";

export const resources: typeof english = {
  resource: {
    title: "资源",
    none: "还没有进程上报资源使用情况。",
    processes: "进程",
    hosts: "主机",
    measure: "进程热图显示的指标",
    hostMeasure: "主机热图显示的指标",
    measures: { cpu: "CPU 占用", memory_bytes: "内存", memory: "内存", event_loop_lag_s: "事件循环延迟 P99", gc_pause_s: "GC 停顿 P99", open_files: "打开的文件", threads: "线程", disk: "磁盘" },
    periods: { h1: "最近 1 小时", h6: "最近 6 小时", d1: "最近 24 小时" },
    unknown: "未知",
    hint: "指向一个格子，或用方向键移动；点击一行查看其图表。",
    more_one: "另有 {{count}} 个进程数值更低",
    more_other: "另有 {{count}} 个进程数值更低",
    runs: "它的运行",
    hostTable: {
      host: "主机",
      source: "数据来源",
      sourceHelp: { "node-exporter": "主机上的 node exporter（{{instance}}），经由 Prometheus。", psutil: "主机上的进程。" },
      ofDisk: "{{mount}} 的 {{share}}",
      load: "1 分钟负载",
      loadHelp: "正在运行或等待运行的进程数，与处理器数相比。",
      network: "每秒接收 / 发送",
    },
    nodes: {
      waiting: "位于 {{url}} 的 Prometheus 尚未应答，主机数据暂由进程上报。",
      failing: "位于 {{url}} 的 Prometheus 没有应答，主机数据暂由进程上报（psutil）。",
      unknown: "位于 {{url}} 的 Prometheus 中没有 node exporter，主机数据由进程上报（psutil）。",
      foreign_one: "位于 {{url}} 的 Prometheus 有 {{count}} 个 node exporter，但不属于这些主机；主机数据由进程上报（psutil）。",
      foreign_other: "位于 {{url}} 的 Prometheus 有 {{count}} 个 node exporter，但都不属于这些主机；主机数据由进程上报（psutil）。",
    },
  },
};
