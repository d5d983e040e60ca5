"""The price of a GPU-hour on hardware of one's own: capital, energy or colocation, operation.

Straight line spreads what the server loses in value; the annuity adds what its capital costs. Every
figure is a cost a GPU-hour in which the server is available.
"""

from __future__ import annotations

from dataclasses import dataclass

HOURS_PER_YEAR = 8760.0
MONTHS_PER_YEAR = 12.0


@dataclass(frozen=True, slots=True)
class OwnedServer:
    """A server with its GPUs; `network_ratio` is what network and racks add to its price."""

    price_usd: float
    gpus: int
    network_ratio: float = 0.12
    residual_ratio: float = 0.20
    life_years: float = 4.0
    availability_ratio: float = 0.98
    opex_ratio_per_year: float = 0.05

    @property
    def capital_usd(self) -> float:
        """What was paid: the server with its share of the network."""
        return self.price_usd * (1 + self.network_ratio)

    def _per_gpu_hour(self, usd_per_year: float) -> float:
        return usd_per_year / (HOURS_PER_YEAR * self.availability_ratio * self.gpus)

    def straight_line(self) -> float:
        """Loss of value, evenly over the hours the server is available."""
        lost = self.capital_usd * (1 - self.residual_ratio)
        return self._per_gpu_hour(lost / self.life_years)

    def annuity(self, interest_per_year: float) -> float:
        """Loss of value with interest: the constant payment that returns the capital."""
        growth: float = (1 + interest_per_year) ** self.life_years
        recovery = interest_per_year * growth / (growth - 1)
        owed = self.capital_usd * (1 - self.residual_ratio / growth)
        return self._per_gpu_hour(owed * recovery)

    def operation(self) -> float:
        """Operation as a yearly share of the capital."""
        return self._per_gpu_hour(self.opex_ratio_per_year * self.capital_usd)

    def energy(self, power_w: float, *, pue: float, usd_per_kwh: float) -> float:
        """Electricity of a server that draws `power_w`, the building's part included."""
        return self._per_gpu_hour(power_w / 1000.0 * pue * usd_per_kwh * HOURS_PER_YEAR)

    def colocation(self, usd_per_kw_month: float, contracted_w: float) -> float:
        """An all-in colocation fee, which already holds the energy."""
        return self._per_gpu_hour(usd_per_kw_month * contracted_w / 1000.0 * MONTHS_PER_YEAR)
