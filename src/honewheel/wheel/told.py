"""Verbs about what the outside is told: webhooks and the MLflow sink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from honewheel.errors import NotFound
from honewheel.wheel.base import Opened


def _nobody(event: str, fields: dict[str, Any]) -> None:
    """Tells nobody."""


class Informed(Opened):
    """What leaves by itself; see docs/how-to/webhooks.md."""

    def outlets(self) -> list[dict[str, Any]]:
        """Each receiver with its events, how many notices were sent, wait or were given up."""
        from honewheel.notify.outlets import outlets

        counts = self.store.outbox.counts()
        found = []
        for name, outlet in outlets(self.store, self.config).items():
            states = counts.get(name, {})
            newest = next((one for one in self.store.outbox.list(100, name) if one.error), None)
            found.append(
                {
                    "outlet": name,
                    "events": sorted(outlet.events),
                    "models": sorted(outlet.models),
                    "sent": states.get("sent", 0),
                    "waiting": states.get("waiting", 0),
                    "given_up": states.get("given up", 0),
                    "error": newest.error if newest else None,
                }
            )
        return found

    def webhook_test(self, name: str) -> dict[str, Any]:
        """Send an event `test` to a webhook now; its status and seconds.

        Raises NotFound, ConfigError (no secret), InputError (a refused address), Unreachable.
        """
        from honewheel.notify.webhook import Hook
        from honewheel.plugins import suggest

        hooks = self.config.settings.webhooks
        if name not in hooks:
            raise NotFound(f"There is no webhook {name!r}. {suggest(name, sorted(hooks))}")
        now = self.clock()
        told = {"event": "test", "project": self.config.settings.project.name}
        taken = Hook(name, hooks[name]).send(
            f"test:{now.timestamp():.0f}",
            "test",
            told | {"at": now.isoformat()},
            now.timestamp(),
        )
        return {"webhook": name, "status": taken.status, "seconds": taken.seconds}

    def send_notices(self, tell: Callable[[str, dict[str, Any]], None] = _nobody) -> dict[str, int]:
        """Tell everybody what happened and what waits, now; a worker does so by itself.

        Returns how many notices were `sent` and how many were not taken (`missed`): those wait on.
        """
        from honewheel.notify.sender import Sender

        sender = Sender(self.store, self.config, self.clock, tell)
        sender.look()
        waiting = self.store.outbox.again(sender.names)
        sent, missed = sender.deliver() if waiting else (0, 0)
        return {"sent": sent, "missed": missed}
