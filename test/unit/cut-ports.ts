import type { World } from "../../lib/ports/world.js";

/**
 * The ports of a process that is killed at its n-th call to registers, blobs or functions: before the call takes effect, or after. From
 * then on nothing that it asks for happens, and no answer comes.
 */
export function cutPorts(world: World, at: { readonly call: number; readonly when: "before" | "after" }) {
  let calls = 0;
  let tellDeath = (): void => undefined;
  const died = new Promise<"died">((resolve) => {
    tellDeath = () => resolve("died");
  });
  const never = new Promise<never>(() => undefined);
  const cut = <P extends object>(port: P): P =>
    new Proxy(port, {
      get(target, member) {
        const method: unknown = Reflect.get(target, member);
        if (typeof method !== "function") return method;
        return (...args: unknown[]) => {
          calls++;
          if (calls < at.call) return Reflect.apply(method, target, args);
          if (calls === at.call) {
            tellDeath();
            if (at.when === "after") void Reflect.apply(method, target, args);
          }
          return never;
        };
      },
    });
  const { registers, blobs, functions } = world;
  return {
    world: { ...world, registers: cut(registers), blobs: cut(blobs), functions: cut(functions) },
    died,
    /** So far. */
    calls: () => calls,
  };
}
