// Loaded before the broker: its wall clock leaps an hour or ten years, either way, and back. Plain JavaScript, since --import
// runs it in whatever process is started.
const HOUR_MS = 3_600_000;
const leapsMs = [0, HOUR_MS, 0, -HOUR_MS, 0, 87_660 * HOUR_MS, 0, -87_660 * HOUR_MS];
const EVERY_MS = 20_000;

const realNow = Date.now;
Date.now = () => realNow() + leapsMs[Math.floor(performance.now() / EVERY_MS) % leapsMs.length];
