"""What other trainers call the fields of the language system."""

import pytest

from resweep.config.synonyms import fields_meant
from tests.support.tiny import LANGUAGE


@pytest.mark.parametrize(
    ("names", "field"),
    [
        (
            "lr LR learn_rate learningRate peak_lr optimizer.lr",
            "training.learning_rate",
        ),
        ("optimizer.config.learning_rate", "training.learning_rate"),
        (
            "grad_accum accumulate_grad_batches",
            "training.gradient_accumulation_steps",
        ),
        ("bs batch train_batch_size per_device_train_batch_size", "training.batch_size"),
        ("epochs n_epochs numTrainEpochs max_epochs", "training.num_epochs"),
        ("steps max_iters num_iterations max_train_steps", "training.max_steps"),
        ("warmup_iters num_warmup_steps lr_warmup_steps", "training.warmup_steps"),
        ("warmup_frac warmup_ratio warmup_step_perc pct_start", "training.pct_warmup"),
        ("min_lr eta_min final_lr_frac", "training.min_lr_ratio"),
        ("lr_scheduler_type lr_schedule lr_decay", "training.scheduler"),
        ("wd l2 adam_weight_decay weightDecay", "training.weight_decay"),
        ("beta_1 adam_beta1 b1", "training.beta1"),
        ("eps adam_epsilon", "training.adam_eps"),
        ("clip max_grad_norm gradient_clip_val clipGradNorm", "training.grad_clip"),
        ("eval_interval eval_every val_check_interval eval_freq", "training.eval_steps"),
        ("log_interval logging_steps log_every_n_steps", "training.log_steps"),
        ("dtype fp16 mixed_precision", "training.precision"),
        ("random_seed manual_seed", "training.seed"),
        ("depth layers num_layers num_hidden_layers nLayers", "model.n_layer"),
        ("heads num_heads num_attention_heads nhead", "model.n_head"),
        ("dim d_model hidden_size hidden_dim embed_dim n_embed width", "model.n_embd"),
        ("block_size seq_len max_seq_length n_ctx context_window", "model.context_length"),
        ("dropout_rate drop attn_pdrop resid_dropout", "model.dropout"),
        ("arch.depth model.depth net.num_blocks", "model.n_layer"),
        ("n_vocab", "model.vocab_size"),
        ("scheduler.type lr_scheduler.name use_cosine", "training.scheduler"),
        ("optimizer.name optim.type optimizer._target_", "training.optimizer"),
        ("lora.dropout", "model.lora_dropout"),
        ("lora.r lora.rank peft.r", "model.lora_rank"),
        ("warmup.steps", "training.warmup_steps"),
        ("log_lr lr_mult blr lr.value", "training.learning_rate"),
        ("cutoff_len", "model.context_length"),
        ("dataset.name", "data.dataset"),
    ],
)
def test_other_names_of_a_field_mean_it(names, field):
    for name in names.split():
        assert fields_meant(name, LANGUAGE) == (field,), name


def test_a_name_may_mean_several_fields():
    assert set(fields_meant("warmup", LANGUAGE)) == {"training.warmup_steps", "training.pct_warmup"}
    assert set(fields_meant("betas", LANGUAGE)) == {"training.beta1", "training.beta2"}


@pytest.mark.parametrize("path", [*sorted(LANGUAGE.paths), "model.config.hidden_size"])
def test_a_field_is_no_other_name(path):
    assert fields_meant(path, LANGUAGE) == ()


@pytest.mark.parametrize(
    "name",
    [
        "tau", "variance", "sleep", "base", "increment", "direction", "momentum", "gamma", "alpha",
        "label_smoothing", "rope_theta", "n_kv_head", "mlp_ratio", "temperature", "num_classes",
        "kernel_size", "fold", "group", "ema_decay", "norm", "activation", "peak_lr_hidden",
        "inference_steps", "arch.stages.0.repeat", "max_train_samples", "h_grad_clip_norm",
        "training.beta3", "training.z_loss", "model.n_inner", "gradient_noise", "size",
        "loss.type", "loss.name", "loss.weight", "env.name", "notes", "weight", "device", "gpu",
        "gpu_id", "beta", "type", "position", "scale", "train_frac", "n_samples", "bins", "speed",
    ],
)  # fmt: skip
def test_other_hyperparameters_mean_no_field(name):
    assert fields_meant(name, LANGUAGE) == ()


def test_the_tables_name_fields_and_no_name_is_a_field():
    for path, names in LANGUAGE.synonyms.items():
        assert path in LANGUAGE.paths
        assert not set(names) & LANGUAGE.fields.keys(), path
        assert all(path in fields_meant(name, LANGUAGE) for name in names), path
