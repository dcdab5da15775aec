"""The sections of a loop transformer's configuration: stages, puzzles, training."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from resweep.config.section import (
    Above0,
    BelowOne,
    Fraction,
    Int,
    Misfit,
    Positive,
    Section,
    Seed,
    Size,
    Text,
    as_tuple,
)
from resweep.config.training_section import Training
from resweep.systems.loop_transformer.board import FEWEST_GIVENS
from resweep.systems.loop_transformer.symmetry import AUGMENTATIONS, available

MOST_PASSES = 1000  # of a stage, and of cycles and supervision steps
Repeat = Annotated[Int, Field(ge=0, le=MOST_PASSES)]
Passes = Annotated[Int, Field(gt=0, le=MOST_PASSES)]
Augmentation = Literal[
    "relabelling", "transposition", "bands", "rows", "stacks", "columns"
]  # as AUGMENTATIONS


def _switched_off(value: object) -> object:
    """Read -1, which other trainers write for no clipping, as 0."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return 0.0 if is_number and value < 0 else value  # type: ignore[operator]  # it is a number


AS_NAMES = BeforeValidator(as_tuple, json_schema_input_type=Text | tuple[Text, ...])
AS_LIST = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)


class Entry(BaseModel):
    """An entry of a list in a section: immutable, strict types, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class State(Entry):
    """A state, and the layers that update it."""

    name: Text = Field(description="for stages to refer to")
    layers: Size = Field(1, description="layers of its own")
    share_weights_with: Text | None = Field(
        None, description="a state whose layers update this one too; null: layers of its own"
    )


class Stage(Entry):
    """`repeat` times: target <- layers(target + inputs, if included + sources)."""

    target: Text = Field(description="the state that is updated")
    sources: Annotated[tuple[Text, ...], AS_NAMES] = Field(
        (), description="states that are added before the layers"
    )
    include_inputs: bool = Field(False, description="whether the embedded puzzle is added too")
    repeat: Repeat = Field(1, description="times in a row; 0 skips the stage")


THREE_STAGES = (
    Stage(target="z_L", sources=("z_H",), include_inputs=True, repeat=3),
    Stage(target="z_M", sources=("z_L",), include_inputs=True, repeat=2),
    Stage(target="z_H", sources=("z_M",), repeat=1),
)


class Arch(Section):
    """A transformer that updates a few states over and over."""

    stages: Annotated[tuple[Stage, ...], AS_LIST] = Field(
        THREE_STAGES, description="what a cycle does, in this order"
    )
    states: Annotated[tuple[State, ...] | None, AS_LIST] = Field(
        None, description="states by name; null: the targets of the stages, with shared layers"
    )
    readout_state: Text | None = Field(
        None, description="state that the answer is read from; null: the target of the last stage"
    )
    halt_state: Text | None = Field(
        None, description="state that halting is decided from; null: readout_state"
    )
    outer_cycles: Passes = Field(3, description="cycles of a supervision step")
    no_grad_cycles: Repeat | None = Field(
        None, description="how many of them, the first ones, have no gradient; null: all but one"
    )
    hidden_size: Size = Field(512, description="width")
    num_heads: Size = Field(8, description="attention heads; hidden_size / num_heads must be even")
    num_layers: Size = Field(1, description="layers that the states share, if states is null")
    expansion: Above0 = Field(
        4.0, description="SwiGLU: its inner width is 2/3 expansion * hidden_size, rounded up to 32s"
    )
    learned_positions: bool = Field(
        True, description="add a learned vector for each cell; false: rotary positions alone"
    )
    halt_max_steps: Passes = Field(16, description="supervision steps on a puzzle, at most")
    halt_exploration_prob: Fraction = Field(
        0.1, description="probability that a puzzle may not halt before a random step"
    )

    @property
    def known_states(self) -> tuple[State, ...]:
        """The states, whether they are declared or follow from the stages."""
        if self.states is not None:
            return self.states
        first, *others = dict.fromkeys(stage.target for stage in self.stages)
        return (
            State(name=first, layers=self.num_layers),
            *(State(name=name, share_weights_with=first) for name in others),
        )

    @property
    def layers_of(self) -> dict[str, str]:
        """For each state, the name of the state whose layers update it."""
        return {state.name: state.share_weights_with or state.name for state in self.known_states}

    @property
    def depths(self) -> dict[str, int]:
        """For each state that has layers of its own, how many."""
        return {s.name: s.layers for s in self.known_states if s.share_weights_with is None}

    @property
    def read_from(self) -> str:
        """The state that the answer is read from."""
        return self.readout_state or self.stages[-1].target

    @property
    def halts_by(self) -> str:
        """The state that halting is decided from."""
        return self.halt_state or self.read_from

    @property
    def free_cycles(self) -> int:
        """Cycles without gradient."""
        return self.outer_cycles - 1 if self.no_grad_cycles is None else self.no_grad_cycles

    def layers_per_cycle(self) -> int:
        """Layers that a puzzle goes through in a cycle."""
        owners, depths = self.layers_of, self.depths
        return sum(stage.repeat * depths[owners[stage.target]] for stage in self.stages)

    def sees_the_puzzle(self) -> bool:
        """Whether the answer can depend on the puzzle: some updates lead from it to the answer."""
        informed: set[str] = set()
        for _ in range(min(self.outer_cycles * self.halt_max_steps, len(self.stages))):
            for stage in self.stages:
                if stage.repeat and (stage.include_inputs or informed & {*stage.sources}):
                    informed.add(stage.target)
        return self.read_from in informed

    @model_validator(mode="after")
    def _heads_fit(self) -> "Arch":
        if self.hidden_size % (2 * self.num_heads):
            raise Misfit(
                f"hidden_size = {self.hidden_size} should be a multiple of 2 * num_heads = "
                f"{2 * self.num_heads}: rotary positions turn pairs of numbers",
                "hidden_size",
                "num_heads",
            )
        return self

    @model_validator(mode="after")
    def _states_are_there(self) -> "Arch":
        if not self.stages:
            raise Misfit("stages is empty: there should be one at least", "stages")
        names = [state.name for state in self.known_states]
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise Misfit(f"states has {double!r} twice", "states")
        unsuited = next((name for name in names if not name.isidentifier()), None)
        if unsuited is not None:
            raise Misfit(
                f"{unsuited!r} should be a name of letters, digits and underscores",
                "stages" if self.states is None else "states",
            )
        owners = {state.name for state in self.known_states if state.share_weights_with is None}
        for state in self.known_states:
            if state.share_weights_with not in (None, *owners):
                raise Misfit(
                    f"states: {state.name} has share_weights_with: {state.share_weights_with}, "
                    "which is not a state with layers of its own",
                    "states",
                )
        known = f"there are: {', '.join(names)}"
        for number, stage in enumerate(self.stages):
            for key, named in (("target", [stage.target]), ("sources", stage.sources)):
                lost = next((name for name in named if name not in names), None)
                if lost is not None:
                    raise Misfit(
                        f"stages.{number}.{key}: {lost!r} is not a state; {known}", "stages"
                    )
        for key in ("readout_state", "halt_state"):
            name = getattr(self, key)
            if name not in (None, *names):
                raise Misfit(f"{key} = {name!r} is not a state; {known}", key)
        return self

    @model_validator(mode="after")
    def _all_layers_learn(self) -> "Arch":
        if self.free_cycles >= self.outer_cycles:
            raise Misfit(
                f"no_grad_cycles = {self.no_grad_cycles} should be below outer_cycles = "
                f"{self.outer_cycles}: the last cycle has gradients",
                "no_grad_cycles",
                "outer_cycles",
            )
        owners = self.layers_of
        idle = set(self.depths) - {owners[name] for name in self._learning()}
        if idle:
            raise Misfit(
                f"the layers of {', '.join(sorted(idle))} would get no gradient: in the cycles "
                f"with gradient, no stage with repeat above 0 leads from them to {self.read_from}",
                "stages",
                "states",
                "readout_state",
                "halt_state",
            )
        return self

    def _learning(self) -> set[str]:
        """Return the states with an update that answer or halting depend on, with gradients.

        Goes backwards from the states that are read through the stages that feed them.
        """
        needed, updated = {self.read_from, self.halts_by}, set()
        for _ in range(min(self.outer_cycles - self.free_cycles, len(self.stages) + 1)):
            for stage in reversed(self.stages):
                if stage.repeat and stage.target in needed:
                    updated.add(stage.target)
                    needed |= set(stage.sources)
        return updated


class Data(Section):
    """Sudoku puzzles: generated, or read from files."""

    size: Literal[4, 6, 9] = Field(9, description="cells of a row; the boxes are 2x2, 2x3, 3x3")
    min_givens: Positive | None = Field(
        None, description="cells that are filled in, at least; null: 6, 14 or 28 by size"
    )
    max_givens: Positive | None = Field(
        None, description="cells that are filled in, at most; null: 9, 18 or 36 by size"
    )
    train_puzzles: Size = Field(
        1000, description="puzzles to train on; of files, the first ones, at most"
    )
    test_puzzles: Size = Field(
        200, description="puzzles of evaluations; of files, the first ones, at most"
    )
    puzzle_seed: Seed = Field(0, description="of generated puzzles")
    path: Text | None = Field(
        None,
        description="folder with train.csv and test.csv, with columns question and answer; null: "
        "puzzles are generated",
    )

    @property
    def cells(self) -> int:
        """Cells of a board."""
        return self.size**2

    @property
    def givens(self) -> tuple[int, int]:
        """Least and most filled cells of generated puzzles."""
        fewest, most = {4: (6, 9), 6: (14, 18), 9: (28, 36)}[self.size]
        if self.min_givens is not None:
            most = max(most, self.min_givens)
        if self.max_givens is not None:
            fewest = min(fewest, self.max_givens)
        return self.min_givens or fewest, self.max_givens or most

    @model_validator(mode="after")
    def _givens_fit(self) -> "Data":
        fewest, most = self.givens
        if fewest > most:
            raise Misfit(
                f"min_givens = {fewest} should be at most max_givens = {most}",
                "min_givens",
                "max_givens",
            )
        least = FEWEST_GIVENS[self.size]
        if fewest < least:
            raise Misfit(
                f"min_givens = {fewest} should be at least {least}: puzzles of size {self.size} "
                "with fewer are too rare to be generated",
                "min_givens",
                "max_givens",
                "size",
            )
        if most >= self.cells:
            raise Misfit(
                f"max_givens = {most} should be below {self.cells}, all cells of size {self.size}",
                "max_givens",
                "min_givens",
                "size",
            )
        return self


class LoopTraining(Training):
    """The shared section, with averaged weights, and the augmentations of puzzles."""

    grad_clip: Annotated[float, BeforeValidator(_switched_off), Field(ge=0, le=1e30)] = Field(
        1.0, description="maximum global norm; 0 or below: off"
    )
    ema: bool = Field(True, description="evaluate and publish averaged weights")
    ema_rate: BelowOne = Field(0.999, description="of the average, what a step keeps")
    augmentations: Annotated[tuple[Augmentation, ...] | None, AS_LIST] = Field(
        None,
        description="how training puzzles are changed each time they are drawn: "
        f"{', '.join(AUGMENTATIONS)}; null: all that the size has; []: not at all",
    )

    def augmentations_of(self, size: int) -> tuple[str, ...]:
        """Return the augmentations of puzzles of a size."""
        return available(size) if self.augmentations is None else self.augmentations
