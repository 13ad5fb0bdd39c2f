"""`[[celery]]` and `[[rq]]`: deployments that are watched through their brokers."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from huoyan.errors import ConfigurationError
from huoyan.server.config_sources import Sources
from huoyan.server.ingest.celery_address import parse_address
from huoyan.server.ingest.celery_results import CeleryResults
from huoyan.server.ingest.rabbitmq_management import RabbitmqManagement
from huoyan.server.ingest.rq_address import parse_rq_address

_STRICT = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


class CelerySettings(BaseModel):
    """`[[celery]]`: a Celery deployment watched through its broker."""

    model_config = _STRICT

    url: SecretStr
    """Address of the broker as Celery takes it, e.g. `redis://127.0.0.1:6379/0` or `amqp://user:password@host//`."""
    service: str = Field(default="", max_length=300)
    """Service shown for runs that name none."""
    result_url: SecretStr | None = None
    """Address of the result backend, Redis (`redis://…`) or a database (`db+postgresql://…`): asked how runs ended
    of which that was not heard. Default: nobody is asked."""
    management_url: SecretStr | None = None
    """Address of RabbitMQ's management API, e.g. `http://user:password@127.0.0.1:15672`, asked how many messages are
    not acknowledged; user and password default to those of `url`. `auto`: the host of `url`, port 15672 (15671 with
    TLS). Default: it is not asked."""

    def errors(self, index: int, sources: Sources) -> Iterator[ConfigurationError]:
        """Yield what is wrong with the addresses of the deployment at `index`."""
        address = None
        try:
            address = parse_address(self.url.get_secret_value(), sources.name("celery", index, "url"))
        except ConfigurationError as error:
            yield error
        if self.management_url is not None and address is not None:
            name = sources.name("celery", index, "management_url")
            try:
                RabbitmqManagement(self.management_url.get_secret_value(), address, name).close()
            except ConfigurationError as error:
                yield error
        if self.result_url is not None:
            name = sources.name("celery", index, "result_url")
            try:
                CeleryResults(self.result_url.get_secret_value(), name).close()
            except ConfigurationError as error:
                yield error


class RqSettings(BaseModel):
    """`[[rq]]`: an RQ deployment watched through its Redis."""

    model_config = _STRICT

    url: SecretStr
    """Address of the Redis, e.g. `redis://127.0.0.1:6379/0`, `rediss://…`, `unix:///run/redis.sock` or
    `sentinel://host:26379/0?master_name=mymaster`."""
    service: str = Field(default="", max_length=300)
    """Service shown for runs that name none."""
    poll_s: float = Field(default=1.0, ge=0.1, le=60)
    """Time between two looks, in seconds. What comes and goes in between is seen as far as Redis still tells of it."""

    def errors(self, index: int, sources: Sources) -> Iterator[ConfigurationError]:
        """Yield what is wrong with the address of the deployment at `index`."""
        try:
            parse_rq_address(self.url.get_secret_value(), sources.name("rq", index, "url"))
        except ConfigurationError as error:
            yield error
