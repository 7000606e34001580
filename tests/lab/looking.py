"""How panel and player look in the page: what is cut off, stands over another, or cannot be read."""

from playwright.sync_api import Page

_AMISS = """() => {
    const shown = (root, selector) => [...root.querySelectorAll(selector)].filter((one) => one.offsetWidth);
    const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
    // Of WCAG 2: relative luminance, and at least 4.5:1 for text (AA).
    const bright = (color) => rgb(color).slice(0, 3)
        .map((one) => one / 255).map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
        .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (element) => {
        const color = rgb(getComputedStyle(element).backgroundColor);
        return color.length === 3 || color[3] > 0.5 ? color.join() : behind(element.parentElement);
    };
    const found = [];
    for (const root of document.querySelectorAll(".recordkit-player, .recordkit-panel")) {
        const right = root.getBoundingClientRect().right + 1;
        for (const one of shown(root, "button, select, input, b, code, .recordkit-player-places span")) {
            if (one.disabled || one.closest(".recordkit-player-ticks, .recordkit-player-line")) continue;
            const name = one.title || one.innerText || one.className;
            if (one.getBoundingClientRect().right > right) found.push(`${name} is cut off`);
            const room = one.parentElement.clientWidth + 1;
            if (one.matches(".recordkit-tile b") && one.offsetWidth > room) found.push(`${name} is too long`);
            const [dark, light] = [getComputedStyle(one).color, behind(one)].map(bright).sort((a, b) => a - b);
            // The green of JupyterLab's own Start button is its own.
            const isText = one.innerText?.trim() && !one.matches(".mod-success, .mod-danger");
            if (isText && (light + 0.05) / (dark + 0.05) < 4.5) found.push(`${name} cannot be read`);
        }
        const parts = shown(root, ".recordkit-player-controls > *, .recordkit-player-right > *");
        for (const one of parts) for (const other of parts) {
            if (one === other || one.contains(other) || other.contains(one)) continue;
            const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
            const isBeside = a.right <= b.left + 1 || b.right <= a.left + 1;
            const isBelow = a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
            if (!isBeside && !isBelow) found.push(`${one.className || one.title} stands over another`);
        }
    }
    return found;
}"""


def amiss(page: Page) -> list[str]:
    """What is wrong with the look of all panels and players of the page, in words."""
    return [str(one) for one in page.evaluate(_AMISS)]
