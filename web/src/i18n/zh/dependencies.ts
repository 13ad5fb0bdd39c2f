import type { dependencies as english } from "../en/dependencies";

export const dependencies: typeof english = {
  dependency: {
    title: "依赖",
    none: "还没有测量到对数据库、Redis、其他服务或邮件服务器的调用。告诉火眼程序调用了什么：huoyan.watch(engine)。",
    notFound: "最近几小时没有收到该依赖的数据。",
    name: "依赖",
    kinds: { database: "数据库", redis: "Redis 缓存", http: "外部服务", smtp: "邮件服务器" },
    windows: { m5: "最近 5 分钟", h1: "最近 1 小时", d1: "最近 24 小时" },
    rate: "调用量",
    errors: "错误率",
    pool: "连接",
    inUse: "使用中 {{used}} / {{most}}",
    waits: "等待 {{wait}}",
    before: "前一小时 P95",
    answered: "最近一次应答",
    noAnswer: "无应答",
    allCalls: "全部调用",
    parts: "时间花在哪里",
    part: "调用",
    share: "时间占比",
    moreParts_one: "另有 {{count}} 项耗时更少",
    moreParts_other: "另有 {{count}} 项耗时更少",
    only: "图表仅显示 {{part}}。",
    showAll: "显示全部",
    reasons: {
      errors: "{{calls}} 次调用中有 {{errors}} 次失败（{{ratio}}）。",
      slower: "P95 为 {{now}}，前一小时为 {{before}}。",
      pool_wait: "需要等待连接：P95 {{wait}}。",
    },
    charts: { perMinute: "每分钟调用数", errors: "失败的调用", p95: "耗时 P95", p99: "耗时 P99", pool: "使用中的连接", wait: "等待连接 P95" },
  },
};
