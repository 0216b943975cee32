// Reads Prometheus's text format, version 0.0.4, and throws at whatever Prometheus itself or its linter would mind.

export interface MetricFamily {
  readonly type: string;
  readonly help: string;
  /** By the labels as they are written, such as `{cache="pi"}`, or "". */
  readonly samples: ReadonlyMap<string, number>;
}

const nameForm = "[a-z_:][a-z0-9_:]*";
const labelsForm =
  '\\{[a-z_][a-z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"(?:,[a-z_][a-z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*")*\\}';
const line = new RegExp(`^(${nameForm})(${labelsForm})? (-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?|NaN|[+-]Inf)$`);

/** The families by their names. */
export function parsePrometheusText(text: string): Map<string, MetricFamily> {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const families = new Map<string, MetricFamily & { samples: Map<string, number> }>();
  for (const block of text.trimEnd().split("\n\n")) {
    const [helpLine = "", typeLine = "", ...sampleLines] = block.split("\n");
    const [, name = "", help = ""] = new RegExp(`^# HELP (${nameForm}) (\\S.*)$`).exec(helpLine) ?? [];
    const [, typed, type = ""] = new RegExp(`^# TYPE (${nameForm}) (counter|gauge)$`).exec(typeLine) ?? [];
    if (name === "" || typed !== name) throw new Error(`no HELP and TYPE of one metric: ${block}`);
    if (families.has(name)) throw new Error(`twice: ${name}`);
    if (name.endsWith("_total") !== (type === "counter")) throw new Error(`${name} is a ${type}`);
    const samples = new Map<string, number>();
    for (const sampleLine of sampleLines) {
      const [, of, labels = "", value] = line.exec(sampleLine) ?? [];
      if (of !== name) throw new Error(`not a sample of ${name}: ${sampleLine}`);
      if (samples.has(labels)) throw new Error(`twice: ${sampleLine}`);
      samples.set(labels, Number(value));
    }
    if (samples.size === 0) throw new Error(`${name} has no sample`);
    families.set(name, { type, help, samples });
  }
  return families;
}
