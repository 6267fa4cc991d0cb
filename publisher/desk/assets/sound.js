// Short tones made on the spot: rising for good, one note for a repeat, three
// for a look, two low ones for bad. Browsers keep sound back until the first
// click or key; until then the page says so.

const tunes = { // [hertz, start, seconds]
  good: { wave: "sine", notes: [[660, 0, 0.12], [990, 0.11, 0.22]] },
  remind: { wave: "sine", notes: [[660, 0, 0.12], [990, 0.11, 0.16], [660, 0.32, 0.2]] },
  repeat: { wave: "sine", notes: [[660, 0, 0.16]] },
  look: { wave: "triangle", notes: [[740, 0, 0.11], [740, 0.17, 0.11], [740, 0.34, 0.16]] },
  bad: { wave: "sawtooth", notes: [[220, 0, 0.2], [165, 0.24, 0.36]] },
};

const recall = () => { try { return localStorage.getItem("sound") !== "off"; } catch (e) { return true; } };

let on = recall();
let context;

export const soundOn = () => on;

export function setSound(value) {
  on = value;
  try { localStorage.setItem("sound", on ? "on" : "off"); } catch (e) { /* private window */ }
}

// start makes the context and tells by changed() whenever blocked() may differ.
export function start(changed) {
  context = new AudioContext();
  context.onstatechange = changed;
  const resume = () => { if (context.state !== "running") context.resume(); };
  addEventListener("pointerdown", resume);
  addEventListener("keydown", resume);
  changed();
}

export const blocked = () => on && !!context && context.state !== "running";

export function play(name) {
  const tune = tunes[name];
  if (!tune || !on || !context || context.state !== "running") return;
  const now = context.currentTime + 0.01;
  for (const [hertz, after, seconds] of tune.notes) {
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.type = tune.wave;
    tone.frequency.value = hertz;
    volume.gain.setValueAtTime(0, now + after);
    volume.gain.linearRampToValueAtTime(0.25, now + after + 0.015);
    volume.gain.exponentialRampToValueAtTime(0.001, now + after + seconds);
    tone.connect(volume).connect(context.destination);
    tone.start(now + after);
    tone.stop(now + after + seconds + 0.02);
  }
}
