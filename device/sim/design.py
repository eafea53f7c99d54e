"""What a boiler is built like: the figures of its plate and of its controls."""

from dataclasses import dataclass, replace
from random import Random

ATMOSPHERE_BAR = 1.01325


@dataclass(frozen=True, slots=True, kw_only=True)
class BoilerDesign:
    """A fire-tube boiler on natural gas; typical figures, not those of a maker.

    Pressures are bar gauge, `volume_m3` is water and steam space together, the gauge glass
    of `glass_height_m` stands with its middle at the normal water level.
    """

    name: str = "fire_tube_10"
    capacity_t_h: float = 10.0
    control_setpoint_bar: float = 10.0
    pmta_bar: float = 12.0
    volume_m3: float = 15.0
    steam_space_share: float = 0.2
    level_area_m2: float = 10.0
    glass_height_m: float = 0.36
    metal_kg: float = 18_000.0
    burner_turndown: float = 4.0
    efficiency_at_capacity: float = 0.90
    fuel_kj_nm3: float = 36_000.0
    oxygen_offset: float = 0.0
    stack_offset_k: float = 0.0
    feedwater_c: float = 103.0
    feedwater_tds_ppm: float = 85.0
    tds_control_setpoint_ppm: float = 2900.0
    feedwater_on_off: bool = False
    local_hour_offset: float = -3.0

    @property
    def capacity_kg_s(self) -> float:
        """Steam at maximum continuous rating."""
        return self.capacity_t_h / 3.6

    @property
    def high_limit_bar(self) -> float:
        """Where the high-pressure limit stops the burner for good: 95 % of the PMTA."""
        return 0.95 * self.pmta_bar


DESIGNS: dict[str, BoilerDesign] = {
    design.name: design
    for design in (
        BoilerDesign(),
        BoilerDesign(
            name="fire_tube_6",
            capacity_t_h=6.0,
            control_setpoint_bar=8.0,
            pmta_bar=10.0,
            volume_m3=9.5,
            level_area_m2=7.0,
            glass_height_m=0.32,
            metal_kg=12_000.0,
            feedwater_c=85.0,
            feedwater_tds_ppm=120.0,
        ),
        BoilerDesign(
            name="fire_tube_15",
            capacity_t_h=15.0,
            control_setpoint_bar=12.0,
            pmta_bar=14.0,
            volume_m3=22.0,
            level_area_m2=13.0,
            glass_height_m=0.4,
            metal_kg=27_000.0,
            burner_turndown=5.0,
            efficiency_at_capacity=0.91,
            feedwater_tds_ppm=60.0,
            tds_control_setpoint_ppm=2700.0,
        ),
        BoilerDesign(
            name="fire_tube_3",
            capacity_t_h=3.0,
            control_setpoint_bar=7.0,
            pmta_bar=8.5,
            volume_m3=6.5,
            level_area_m2=5.2,
            glass_height_m=0.28,
            metal_kg=8_000.0,
            burner_turndown=3.0,
            efficiency_at_capacity=0.88,
            feedwater_c=80.0,
            feedwater_tds_ppm=140.0,
            feedwater_on_off=True,
        ),
    )
}


def individual(design: BoilerDesign, rng: Random) -> BoilerDesign:
    """One boiler of a design: no two burners are tuned and no two stacks kept alike."""
    return replace(
        design,
        oxygen_offset=design.oxygen_offset + rng.uniform(-0.3, 0.5),
        stack_offset_k=design.stack_offset_k + rng.uniform(-3.0, 8.0),
        feedwater_c=design.feedwater_c + rng.uniform(-1.5, 1.5),
        feedwater_tds_ppm=design.feedwater_tds_ppm * rng.uniform(0.9, 1.15),
    )
