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
  /** Of a table that has another `type` than the default one: that. */
  readonly kind: string | null;
  /** What it may hold, in the words of the error messages. */
  readonly expected: string;
  /** A TOML value; null where the key has none, "required" being told apart by `required`. */
  readonly fallback: string | null;
  readonly required: boolean;
  readonly description: string;
}

/** Every key that holds a value, in the order of the schema. */
export function configKeys(): ConfigKey[] {
  return leaves(configSchema, [], null);
}

/** The names that a table at this path of `document` may hold; empty where names are the user's. */
export function namesAt(path: readonly PropertyKey[], document: unknown): string[] {
  return shapeNames(schemaAt(path, (kinds, at) => chosenKind(kinds, valueAt(document, at))));
}

/** The kinds of table, where there are several, that may hold the key `name` at this path. */
export function kindsWith(path: readonly PropertyKey[], name: string): string[] {
  const found: string[] = [];
  schemaAt(path, (kinds, at) => {
    const rest = path.slice(at.length);
    for (const [kind, schema] of kinds) {
      if (shapeNames(schemaIn(schema, rest, () => undefined)).includes(name)) found.push(kind);
    }
    return undefined;
  });
  return found;
}

/** The sentence that documents the table at this path, of this kind. */
export function tableDescription(path: readonly string[], kind: string | null): string {
  const documented = path.at(-1) === anyName && kind === null ? path.slice(0, -1) : path;
  const names = documented.map((segment) => segment.replace(anyIndex, ""));
  return (
    (schemaAt(names, (kinds) => kinds.get(kind ?? "") ?? [...kinds.values()][0]) as z.ZodType).description ??
    ""
  );
}

/** The value at a path of a document; undefined where there is none. */
export function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  let value = document;
  for (const segment of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, segment)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[segment];
  }
  return value;
}

/** Chooses among the kinds of the table at a path, by their `type`. */
type Choose = (
  kinds: ReadonlyMap<string, z.core.$ZodType>,
  at: readonly PropertyKey[],
) => z.core.$ZodType | undefined;

/** Where there is no such table: a schema that takes nothing. */
function schemaAt(path: readonly PropertyKey[], choose: Choose): z.core.$ZodType {
  return schemaIn(configSchema, path, choose);
}

function schemaIn(from: z.core.$ZodType, path: readonly PropertyKey[], choose: Choose): z.core.$ZodType {
  let schema = chosen(from, path.slice(0, 0), choose);
  for (const [index, segment] of path.entries()) {
    const inner = unwrap(schema);
    if (inner instanceof z.ZodRecord) schema = inner.valueType;
    else if (inner instanceof z.ZodArray) schema = inner.element;
    else if (inner instanceof z.ZodObject)
      schema = (inner.shape[String(segment)] as z.core.$ZodType) ?? z.never();
    else return z.never();
    schema = chosen(schema, path.slice(0, index + 1), choose);
  }
  return schema;
}

function chosen(schema: z.core.$ZodType, at: readonly PropertyKey[], choose: Choose): z.core.$ZodType {
  const kinds = kindsOf(schema);
  return kinds === null ? schema : (choose(kinds, at) ?? z.never());
}

/** The kinds of a table by their `type`, the default one first; null where there is but one. */
function kindsOf(schema: z.core.$ZodType): ReadonlyMap<string, z.core.$ZodType> | null {
  const inner = unwrap(schema);
  if (!(inner instanceof z.ZodDiscriminatedUnion)) return null;
  return new Map(
    inner.options.map((option) => {
      const { type } = (option as z.ZodObject).shape;
      return [String((unwrap(type as z.core.$ZodType) as z.ZodLiteral).value), option];
    }),
  );
}

/** That of a table in a document: without a known `type` the default one. */
function chosenKind(
  kinds: ReadonlyMap<string, z.core.$ZodType>,
  table: unknown,
): z.core.$ZodType | undefined {
  const [first] = kinds.values();
  return kinds.get(String(valueAt(table, ["type"]))) ?? first;
}

function shapeNames(schema: z.core.$ZodType): string[] {
  const inner = unwrap(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function leaves(schema: z.core.$ZodType, path: readonly string[], kind: string | null): ConfigKey[] {
  const inner = unwrap(schema);
  const kinds = kindsOf(inner);
  if (kinds !== null) {
    return [...kinds].flatMap(([one, table], index) => leaves(table, path, index === 0 ? null : one));
  }
  if (inner instanceof z.ZodRecord) return leaves(inner.valueType, [...path, anyName], kind);
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([key, child]) =>
      leaves(child as z.core.$ZodType, [...path, key], kind),
    );
  }
  if (inner instanceof z.ZodArray && unwrap(inner.element) instanceof z.ZodObject) {
    return leaves(inner.element, [...path.slice(0, -1), `${path.at(-1)}${anyIndex}`], kind);
  }
  // The schema itself is asked what it thinks of nothing, and of something that TOML can not hold.
  const absent = z.safeParse(schema, undefined);
  const wrong = z.safeParse(schema, Symbol("no TOML value"));
  return [
    {
      path,
      kind,
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
