"""What other trainers of language models call the fields of this one."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "model.n_layer": (
        "layers", "depth", "num_hidden_layers", "hidden_layers", "blocks", "n_blocks",
        "num_blocks", "nlayers", "nlayer", "layer_count", "encoder_layers", "model_depth",
        "transformer_blocks", "transformer_layers", "decoder_layers",
    ),
    "model.n_head": (
        "heads", "head", "attention_heads", "num_attention_heads", "attn_heads", "nhead",
        "nheads", "head_count", "n_attn", "multi_heads", "num_q_heads", "query_heads", "mha_heads",
    ),
    "model.n_embd": (
        "dim", "d_model", "dmodel", "hidden_size", "hidden_dim", "hidden", "hidden_units", "width",
        "embed_dim", "embedding_size", "emb_size", "embd", "d_embed", "dim_model", "d_hidden",
        "n_hidden", "model_width", "hidden_width", "resid_dim", "d_embedding", "nembd", "nemb",
        "dim_embd", "size_embd", "latent_dim", "embedding_width", "h_dim", "dims", "hid_dim",
        "hdim", "units", "hidden_features", "feature_dim", "hidden_layer_size",
    ),
    "model.context_length": (
        "block_size", "seq_len", "sequence_length", "seq_length", "max_seq_len", "seqlen",
        "max_seq_length", "context_size", "ctx_len", "ctx", "n_ctx", "context", "context_window",
        "max_length", "max_len", "max_position_embeddings", "n_positions", "window", "bptt",
        "window_size", "context_len", "seq_size", "max_context", "max_seqlen", "max_context_length",
        "max_sequence_length", "seq", "chunk_size", "tokens_per_sequence", "cutoff_len", "cutoff",
        "maxlen", "block_length", "text_length", "input_length",
    ),
    "model.vocab_size": ("n_vocab", "vocab", "vocab_length", "vocab_dim"),
    "model.dropout": (
        "drop", "dropout_rate", "dropout_p", "p_dropout", "pdrop", "p_drop", "drop_rate",
        "attn_dropout", "attn_pdrop", "resid_dropout", "resid_pdrop", "embd_dropout", "embd_pdrop",
        "hidden_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob", "ffn_dropout",
        "mlp_dropout", "drop_prob", "dropout_ratio", "attn_drop", "resid_drop", "proj_drop",
        "attn_drop_rate", "ff_dropout", "droprate", "keep_prob",
    ),
    "model.bias": (
        "use_bias", "with_bias", "add_bias", "qkv_bias", "linear_bias", "biases", "attn_bias",
    ),
    "model.name_or_path": (
        "model_name_or_path", "model_id", "model_path", "base_model", "model_name",
        "pretrained_model_name_or_path",
    ),
    "model.config": ("model_config", "config_overrides"),
    "model.kind": ("model_type", "model_kind", "arch", "architecture"),
    "model.lora_rank": ("lora_r", "lora_dim", "adapter_rank", "rank_lora", "peft_r"),
    "model.lora_targets": ("target_modules", "lora_target_modules", "lora_layers"),
    "data.source": ("data_source",),
    "data.paths": ("data_path", "data_dir", "data_file", "train_file", "data_files", "datadir"),
    "data.val_paths": ("val_file", "valid_file", "validation_file", "eval_file", "dev_file"),
    "data.test_paths": ("test_file",),
    "data.dataset": ("data", "dataset_name", "dataset_path", "dataset_repo_or_path", "dataset_id"),
    "data.tokenizer": ("tokenizer_name", "tokenizer_path", "tokenizer_name_or_path"),
    "data.tokens": ("tokenization", "token_type", "tokenizer_type"),
    "data.val_fraction": (
        "val_split", "validation_split", "val_ratio", "val_frac", "split_ratio", "holdout",
        "holdout_fraction", "valid_pct", "holdout_percentage", "val_size",
    ),
    "initialization.init_std": (
        "std", "init_scale", "initializer_range", "weight_init_std", "init_gain", "init_sigma",
        "sigma_init", "weight_std", "std_init", "init_stddev", "initialization_std",
    ),
    "initialization.init_type": (
        "init", "init_method", "weight_init", "initializer", "init_scheme", "kernel_init",
        "weight_initialization", "initialization", "init_fn", "kernel_initializer",
    ),
    "initialization.mup_base_width": ("mup_width", "base_width", "mup"),
}  # fmt: skip
