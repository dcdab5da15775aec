"""What other trainers call the fields that every system has.

Spelling, word order of counts, and words like `num` and `train` are dealt with in
`resweep.config.synonyms`: `n_epochs`, `numEpochs` and `num_train_epochs` are one name here.
"""

TRAINING_SYNONYMS: dict[str, tuple[str, ...]] = {
    "training.seed": (
        "random_seed", "rng_seed", "manual_seed", "torch_seed", "random_state", "np_seed",
        "rand_seed",
    ),
    "training.batch_size": (
        "bs", "batch", "bsz", "batch_sz", "per_device_batch_size", "per_gpu_batch_size",
        "device_batch_size", "effective_batch_size", "batch_size_per_gpu", "n_batch", "tbs",
        "examples_per_batch", "train_bs", "bsize", "b_size", "bz", "batchsz", "mbs", "gbs",
        "samples_per_batch", "samples_per_gpu", "sequences_per_batch",
    ),
    "training.gradient_accumulation_steps": (
        "grad_accum", "accum_steps", "accum", "accumulate_grad_batches", "grad_accum_every", "gas",
        "ga_steps", "update_freq", "grad_accum_batches", "accum_batches", "accum_factor",
        "steps_to_accumulate", "batch_accum", "n_accum", "grad_cum_steps", "virtual_batch_factor",
    ),
    "training.max_gpu_batch_size": ("max_device_batch_size", "gpu_batch_size"),
    "training.eval_batch_size": ("per_device_eval_batch_size", "eval_bs", "eval_batch"),
    "training.max_steps": (
        "steps", "max_train_steps", "train_iterations", "iters_max", "max_updates", "budget_steps",
        "horizon", "total_steps", "n_iterations", "max_iters", "stop_iters", "nsteps", "niters",
        "max_it",
    ),
    "training.num_epochs": ("epochs", "epoch", "max_epochs", "nepochs", "ep", "epoch_num"),
    "training.optimizer": ("optimizer_type", "optimizer_name", "optimizer_class"),
    "training.learning_rate": (
        "lr", "max_lr", "peak_lr", "base_lr", "lr_max", "lr_peak", "lr_base", "lr0", "lr_0",
        "step_size", "eta", "adam_lr", "optimizer_lr", "lr_init", "lr_start", "lr_rate", "log_lr",
        "log_10_lr", "lr_log", "lr_exponent", "lr_mult", "lr_multiplier", "lr_factor", "lr_scale",
        "blr", "stepsize", "sgd_lr", "matrix_lr",
    ),
    "training.scheduler": (
        "lr_scheduler", "lr_scheduler_type", "scheduler_type", "scheduler_name", "lr_decay_type",
        "lr_decay_style", "decay_type", "lr_policy", "lr_schedule", "lr_schedule_type", "lr_decay",
        "decay_lr", "anneal_strategy", "annealing", "lr_scheduler_name", "lr_decay_schedule",
        "cosine_decay", "use_cosine", "cosine_lr", "cosine_annealing", "lr_annealing",
        "lr_scheduler_kind",
    ),
    "training.warmup_steps": (
        "warmup", "warmup_iters", "warm_steps", "lr_warmup", "lr_warmup_steps", "lr_warmup_iters",
        "warmup_epochs", "warmup_length", "warmup_batches", "scheduler_warmup_steps", "warmup_it",
        "warmup_tokens", "nwarmup", "lr_warmup_epochs", "linear_warmup", "warmup_period",
        "warmup_samples",
    ),
    "training.pct_warmup": (
        "warmup", "warmup_frac", "lr_warmup_frac", "warmup_step_perc", "warmup_steps_frac",
        "frac_warmup", "pct_start", "warmup_proportion", "warmup_prop", "warmup_rate",
    ),
    "training.min_lr_ratio": (
        "min_lr", "lr_min", "final_lr", "end_lr", "eta_min", "lr_end", "lr_final", "min_lr_frac",
        "final_lr_frac", "lr_min_ratio", "end_lr_frac", "final_lr_ratio", "lr_floor",
        "decay_lr_ratio", "final_div_factor", "lr_end_ratio", "alpha_f", "min_lr_factor",
        "lr_min_factor", "lr_decay_min", "cosine_min", "min_lr_multiplier",
    ),
    "training.decay_fraction": (
        "decay_frac", "cooldown", "cooldown_frac", "cooldown_steps", "warmdown", "warmdown_frac",
        "warmdown_iters", "decay_steps", "lr_decay_steps", "lr_decay_iters", "decay_iters",
    ),
    "training.weight_decay": (
        "wd", "l2", "l2_reg", "l2_penalty", "weight_decay_rate", "l2_lambda", "l2_weight",
        "l2_coef", "l2_coeff", "adam_wd", "decay", "weight_reg", "wdecay", "w_decay", "reg_weight",
        "reg_strength", "reg_coef", "lambda_l2", "lambda_wd", "l2reg", "l2_norm", "l2_alpha",
        "l2_strength", "wt_decay", "optimizer_wd",
    ),
    "training.beta1": ("b1", "betas", "adam_b1", "beta_one", "adam_betas"),
    "training.beta2": ("b2", "betas", "adam_b2", "beta_two", "adam_betas"),
    "training.adam_eps": ("eps", "adam_epsilon", "optimizer_eps"),
    "training.grad_clip": (
        "clip", "grad_norm", "max_grad_norm", "clip_grad", "clip_norm", "grad_clip_norm",
        "grad_clip_val", "grad_clip_value", "clip_grad_norm", "max_norm", "grad_norm_clip",
        "clip_value", "clip_val", "clip_gradient_norm", "global_norm_clip", "clip_threshold",
        "clip_thresh", "grad_max_norm", "max_grad", "grad_norm_max", "clip_global_norm", "clipnorm",
        "clipvalue", "grad_clip_max_norm", "grad_clip_threshold",
    ),
    "training.log_steps": (
        "log_interval", "log_every", "log_every_n_steps", "log_every_steps", "steps_per_print",
        "report_interval",
    ),
    "training.eval_steps": (
        "eval_interval", "eval_every", "val_check_interval", "eval_every_n_steps",
        "eval_every_steps", "steps_per_eval", "check_val_every_n_epoch", "eval_every_n_epochs",
        "eval_step_interval", "validate_every", "evaluate_every", "check_val_every",
        "evaluate_interval",
    ),
    "training.eval_sequences": (
        "eval_batches", "limit_val_batches", "max_eval_samples", "eval_samples", "eval_examples",
        "eval_size", "eval_tokens", "max_eval_batches", "eval_max_steps",
    ),
    "training.save_steps": (
        "save_interval", "save_every", "save_every_n_steps", "save_every_steps",
    ),
    "training.keep_last": ("save_total_limit", "max_checkpoints", "max_to_keep"),
    "training.keep_best": ("save_top_k",),
    "training.distributed": ("ddp", "fsdp", "strategy", "parallelism", "zero_stage", "deepspeed"),
    "training.processes": (
        "world_size", "gpus", "n_gpu", "n_procs", "nproc", "nproc_per_node", "devices", "n_devices",
        "num_processes",
    ),
    "training.nodes": ("n_nodes", "nnodes", "machines"),
    "training.precision": (
        "dtype", "fp16", "bf16", "amp", "use_amp", "mixed_precision", "half", "half_precision",
        "torch_dtype", "data_type", "compute_dtype", "float16", "bfloat16", "float_type",
    ),
    "training.compile": ("torch_compile", "use_compile", "compile_model", "jit"),
    "training.gradient_checkpointing": (
        "activation_checkpointing", "grad_ckpt", "use_checkpointing", "remat", "recompute",
        "act_ckpt", "checkpoint_activations",
    ),
    "early_stopping.plateau_patience": (
        "patience", "early_stopping_patience", "early_stop_patience", "early_stop", "es_patience",
        "early_stopping",
    ),
    "early_stopping.plateau_min_delta": ("min_delta", "early_stopping_threshold", "delta"),
    "run.checkpoint": (
        "init_from", "pretrained", "pretrained_path", "resume_from", "resume_from_checkpoint",
        "checkpoint_path", "load_from", "ckpt_path", "init_checkpoint", "pretrained_checkpoint",
        "weights_path", "load_checkpoint", "finetune_from",
    ),
}  # fmt: skip
