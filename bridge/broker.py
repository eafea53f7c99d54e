"""What can go wrong between Steam and a broker, by what there is to do about it."""


class BrokerError(Exception):
    """A broker did not do what was asked; the text says where, why and what to do."""


class BrokerUnavailable(BrokerError):
    """The broker cannot be reached or went away; trying again later may help."""


class BrokerRefused(BrokerError):
    """The broker said no: a wrong account, a missing permission, a wrong request."""


class TopologyConflict(BrokerRefused):
    """An exchange or a queue exists with other, unchangeable properties."""
