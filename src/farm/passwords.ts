// Keeps what opens a door out of reports and logs. Pure.

/** `text` without what stands before the "@" of a URL in it, unless that is only the name of an ssh login. */
export function withoutPasswords(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*):\/\/([^@/\s]*)@/gi, (all, scheme: string, user: string) =>
    /ssh$/i.test(scheme) && !user.includes(":") ? all : `${scheme}://…@`,
  );
}
