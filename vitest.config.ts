import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          // Some ask thousands of questions, and a machine may be slow.
          testTimeout: 20_000,
          include: ["test/**/*.test.ts"],
          exclude: ["test/integration/**", "test/lab/**"],
        },
      },
      {
        // Real sshd, nix-daemon, dbus-daemon and avahi-daemon on loopback or in namespaces the test makes.
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // They mostly wait, and each has ports, folders and namespaces of its own.
          maxWorkers: 3,
        },
      },
      {
        // The two-machine lab. It mostly waits too, and each worker has a lab of its own: see test/lab/lab.ts.
        test: {
          name: "lab",
          include: ["test/lab/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 240_000,
          maxWorkers: 2,
        },
      },
    ],
  },
});
