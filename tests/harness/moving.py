"""A cloud of a test's own whose clock it moves, where one that is shared would be ahead for everybody after it."""
import aws
from cloud import Cloud


def moving_cloud(test):
    """(the cloud, client(service) of it); at the end it must have said nothing of a sanitizer. test: a case, or a class in its setUpClass."""
    cloud = Cloud()

    def end():
        said = cloud.log_text()
        cloud.stop()
        found = [line for line in said.splitlines() if "Sanitizer" in line or "runtime error" in line or " fatal " in line]
        assert not found, said[-6000:]
    getattr(test, "addClassCleanup" if isinstance(test, type) else "addCleanup")(end)
    cloud.start()
    return cloud, lambda service, **more: aws.client(service, **{"endpoint": cloud.endpoint, **more})
