/** Counts the bytes that Buffers are asked for while an action runs; those that zlib asks for in Node are among them. */
const metered = ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const;

let bytes = 0;
let isOn = false;

for (const name of metered) {
  const original = Buffer[name] as (size: number, ...rest: unknown[]) => Buffer;
  Object.assign(Buffer, {
    [name](size: number, ...rest: unknown[]) {
      if (isOn) bytes += size;
      return original.call(Buffer, size, ...rest);
    },
  });
}

export function allocatedBytes(action: () => void): number {
  bytes = 0;
  isOn = true;
  try {
    action();
  } finally {
    isOn = false;
  }
  return bytes;
}
