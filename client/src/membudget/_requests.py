"""Build every request of the service, for both clients."""

from membudget._budget_requests import BudgetRequests
from membudget._cost_requests import CostRequests
from membudget._memory_requests import MemoryRequests
from membudget._service_requests import ServiceRequests
from membudget._speed_requests import SpeedRequests


class Requests(BudgetRequests, CostRequests, MemoryRequests, ServiceRequests, SpeedRequests):
    """The requests of a client, with its workspace where none is named."""
