"""What a function may have called before a snapshot of it is taken and after it is restored (SnapStart). The names are those of the
package that AWS's runtimes bring; a function that packs its own copy has that one asked."""

_before_snapshot, _after_restore = [], []


def register_before_snapshot(func, *args, **kwargs):
    """Called last first. Also a decorator."""
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Called in this order. Also a decorator."""
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before_snapshot


def get_after_restore():
    return _after_restore
