// Single images that the kernel decodes: where the page cannot play, the link is slow, or its own decoder shows nothing.

const SMALL_PIXELS = 480;
const MOST_PIXELS = 1280;
const SMALL_MS = 1000; // one image a second
const NEXT_MS = 40;

class Images {
  constructor(film) {
    this.film = film;
    this.picture = made("img", "", { alt: "the frame that is shown", hidden: true });
  }

  show(are) {
    this.picture.hidden = !are;
    this.film.video.hidden = are;
  }

  get pixels() {
    if (this.film.player.mode === "small") return SMALL_PIXELS;
    return Math.min(Math.round(this.film.box.clientWidth * devicePixelRatio) || 960, MOST_PIXELS);
  }

  ask(asked) {
    const { film } = this;
    return film.player.line.ask({ ask: "image", of: film.of, width: this.pixels, ...asked });
  }

  put(answer) {
    const url = URL.createObjectURL(new Blob([answer.buffers[0]], { type: "image/jpeg" }));
    this.picture.onload = () => URL.revokeObjectURL(url);
    this.picture.src = url;
    this.show(true);
    this.film.show(answer.number, answer.media_s, answer.captured ?? NaN);
  }

  // What the kernel's decoder makes of a frame that the page's own does not show.
  async still(time) {
    const answer = await this.ask({ media_s: time });
    if (!answer.lost && !answer.fault) this.put(answer);
  }

  // The next image, if there is anything to be shown that is not.
  async step() {
    const { film } = this;
    const { player } = film;
    const now = performance.now();
    const asked = {};
    if (film.wanted) Object.assign(asked, film.wanted);
    else if (player.isPlaying && player.isFollowing) asked.number = -1;
    else if (player.isPlaying) asked.media_s = film.media_s + Math.min((now - (this.drawn ?? now)) / 1000, 5) * player.speed;
    else if (!this.picture.src) asked.number = Math.max(film.number, 0);
    else return film.status.growing ? film.look() : player.rest(200);
    const { wanted } = film;
    film.wanted = null;
    this.drawn = now;
    const answer = await this.ask(asked);
    if (answer.lost) film.wanted ??= wanted;
    if (answer.lost || player.isClosed) return;
    if (answer.fault) {
      film.say(answer.fault, "fault");
      return player.rest(LOOK_MS);
    }
    film.update(answer);
    this.put(answer);
    if (player.isPlaying && !player.isFollowing && answer.number >= answer.count - 1) player.ended();
    if (player.isPlaying) await player.rest(player.mode === "small" ? SMALL_MS - (performance.now() - now) : NEXT_MS);
  }
}
