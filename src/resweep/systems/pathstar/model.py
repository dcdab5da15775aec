"""The GPT of `resweep.systems.language`, of the size that a graph needs."""

from resweep.systems.language.model_section import Model as LanguageModel
from resweep.systems.pathstar.graph import Format
from resweep.systems.pathstar.sections import Model


def language_model(model: Model, known: Format) -> LanguageModel:
    """Return the section of the language model that is trained."""
    return LanguageModel(
        n_layer=model.n_layer,
        n_head=model.n_head,
        n_embd=model.n_embd,
        context_length=known.length - 1,
        dropout=model.dropout,
        bias=model.bias,
    )
