// Walks the schema: which keys exist, what each expects in words, its default and its sentence. The reference
// table and the error messages both come from this, so that they can not disagree.

import { z } from "zod";
import { configSchema } from "./schema.js";

/** Stands in a key path for the name that the user chooses, as in `caches.NAME.host`. */
const anyName = "NAME";

/** Ends the name of a list of tables in a key path, as in `caches.NAME.ways[].host`. */
const anyIndex = "[]";

/** One documented key. */
export interface ConfigKey {
  readonly path: readonly string[];
  /** What it may hold, in the words of the error messages. */
  readonly expected: string;
  /** A TOML value; null where the key has none, "required" being told apart by `required`. */
  readonly fallback: string | null;
  readonly required: boolean;
  readonly description: string;
}

/** Every key that holds a value, in the order of the schema. */
export function configKeys(): ConfigKey[] {
  return leaves(configSchema, []);
}

/** The names that a table at this path of the document may hold; empty where names are the user's. */
export function namesAt(path: readonly PropertyKey[]): string[] {
  const inner = unwrap(schemaAt(path));
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

/** The sentence that documents the table at this path. */
export function tableDescription(path: readonly string[]): string {
  const documented = path.at(-1) === anyName ? path.slice(0, -1) : path;
  const names = documented.map((segment) => segment.replace(anyIndex, ""));
  return (schemaAt(names) as z.ZodType).description ?? "";
}

function schemaAt(path: readonly PropertyKey[]): z.core.$ZodType {
  let schema: z.core.$ZodType = configSchema;
  for (const segment of path) {
    const inner = unwrap(schema);
    if (inner instanceof z.ZodRecord) schema = inner.valueType;
    else if (inner instanceof z.ZodArray) schema = inner.element;
    else if (inner instanceof z.ZodObject) schema = inner.shape[String(segment)] as z.core.$ZodType;
    else return z.never();
  }
  return schema;
}

function leaves(schema: z.core.$ZodType, path: readonly string[]): ConfigKey[] {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodRecord) return leaves(inner.valueType, [...path, anyName]);
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([key, child]) =>
      leaves(child as z.core.$ZodType, [...path, key]),
    );
  }
  if (inner instanceof z.ZodArray && unwrap(inner.element) instanceof z.ZodObject) {
    return leaves(inner.element, [...path.slice(0, -1), `${path.at(-1)}${anyIndex}`]);
  }
  // The schema itself is asked what it thinks of nothing, and of something that TOML can not hold.
  const absent = z.safeParse(schema, undefined);
  const wrong = z.safeParse(schema, Symbol("no TOML value"));
  return [
    {
      path,
      expected: wrong.error?.issues[0]?.message ?? "",
      fallback: absent.success && absent.data !== undefined ? JSON.stringify(absent.data) : null,
      required: !absent.success,
      description: (schema as z.ZodType).description ?? "",
    },
  ];
}

/** Without defaults and optionality. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  let inner = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional) {
    inner = inner.unwrap();
  }
  return inner;
}
