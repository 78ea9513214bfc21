import type { ReactNode } from 'react';
import {
  CONFIG_FIELDS,
  type ConfigField,
  type GrpoConfig,
  type LoraConfig,
  type RunConfig,
} from '../../worker/training-protocol';
import { ChoiceSetting, ConfigRow, FlagSetting, NumberSetting } from './config-row';
import { LORA_TARGET_NAMES } from './run-problems';
import { shortModule } from './setting-differences';
import { COLD_START_EXPLANATIONS, EXPLANATIONS, FIELD_GROUPS, LIVE_FIELDS } from './setup-groups';

interface Props {
  config: RunConfig;
  problems: Readonly<Record<string, string>>;
  /** `open`: all can change; `live`: three of them; `locked`: none. */
  mode: 'open' | 'live' | 'locked';
  onChange: (change: Partial<RunConfig>) => void;
}

/** All settings of a run but its rewards, by TRL's names. */
export function ConfigForm({ config, problems, mode, onChange }: Props) {
  const { grpo, stage } = config;
  const field = (name: keyof GrpoConfig) => (
    <GrpoField
      key={name}
      field={fieldOf(name, stage)}
      value={grpo[name]}
      problem={problems[name]}
      mode={mode}
      onChange={(value) => onChange({ grpo: { ...grpo, [name]: value } })}
    />
  );
  return (
    <>
      {FIELD_GROUPS[stage].map(({ title, main, more }) => (
        <fieldset key={title} className="cf-group">
          <legend>{title}</legend>
          {main.map(field)}
          <More open={more.some((name) => problems[name])}>{more.map(field)}</More>
        </fieldset>
      ))}
      <LoraFields config={config} problems={problems} mode={mode} onChange={onChange} />
      <CheckFields config={config} problems={problems} mode={mode} onChange={onChange} />
    </>
  );
}

function fieldOf(name: keyof GrpoConfig, stage: RunConfig['stage']): ConfigField {
  const field = CONFIG_FIELDS.find((one) => one.name === name)!;
  const explanation = stage === 'cold-start' ? COLD_START_EXPLANATIONS[name] : undefined;
  return explanation ? { ...field, explanation } : field;
}

function More({ open, children }: { open: boolean; children: ReactNode }) {
  return (
    <details className="cf-more" open={open || undefined}>
      <summary>more</summary>
      {children}
    </details>
  );
}

function GrpoField({
  field,
  value,
  problem,
  mode,
  onChange,
}: {
  field: ConfigField;
  value: GrpoConfig[keyof GrpoConfig];
  problem: string | undefined;
  mode: Props['mode'];
  onChange: (value: number | string | boolean) => void;
}) {
  const { name, explanation, choices, flag } = field;
  const live = mode === 'live' && LIVE_FIELDS.includes(name);
  const locked = mode !== 'open' && !live;
  return (
    <ConfigRow name={name} explanation={explanation} problem={problem}>
      {(ids) =>
        choices ? (
          <ChoiceSetting {...{ ids, locked, choices, onChange }} value={String(value)} />
        ) : flag ? (
          <FlagSetting {...{ ids, locked, onChange }} value={value === true} />
        ) : (
          <NumberSetting {...{ ids, locked, onChange }} value={(value as number) ?? 1} commit={live} />
        )
      }
    </ConfigRow>
  );
}

function LoraFields({ config: { lora }, problems, mode, onChange }: Props) {
  const locked = mode !== 'open';
  const set = (change: Partial<LoraConfig>) => onChange({ lora: { ...lora, ...change } });
  return (
    <fieldset className="cf-group">
      <legend>LoRA</legend>
      {(['r', 'lora_alpha'] as const).map((name) => (
        <ConfigRow key={name} name={name} explanation={EXPLANATIONS[name]} problem={problems[name]}>
          {(ids) => (
            <NumberSetting
              {...{ ids, locked }}
              value={lora[name]}
              onChange={(value) => set({ [name]: value })}
            />
          )}
        </ConfigRow>
      ))}
      <ConfigRow
        name="target_modules"
        explanation={EXPLANATIONS.target_modules}
        problem={problems.target_modules}
      >
        {(ids) => (
          // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot stand in a line of text
          <span className="cf-targets" role="group" aria-labelledby={ids.labelledBy}>
            {LORA_TARGET_NAMES.map((name) => {
              const on = lora.target_modules.includes(name);
              if (locked) return on ? <span key={name}>{shortModule(name)}</span> : null;
              const next = LORA_TARGET_NAMES.filter((one) =>
                one === name ? !on : lora.target_modules.includes(one),
              );
              return (
                <button
                  key={name}
                  type="button"
                  aria-pressed={on}
                  title={name}
                  onClick={() => set({ target_modules: next })}
                >
                  {shortModule(name)}
                </button>
              );
            })}
          </span>
        )}
      </ConfigRow>
      <More open={problems.layers_to_transform !== undefined}>
        <ConfigRow name="use_rslora" explanation={EXPLANATIONS.use_rslora}>
          {(ids) => (
            <FlagSetting
              {...{ ids, locked }}
              value={lora.use_rslora}
              onChange={(use_rslora) => set({ use_rslora })}
            />
          )}
        </ConfigRow>
        <ConfigRow
          name="layers_to_transform"
          explanation={EXPLANATIONS.layers_to_transform}
          problem={problems.layers_to_transform}
        >
          {(ids) => <LayersSetting {...{ ids, locked, lora }} set={(next) => onChange({ lora: next })} />}
        </ConfigRow>
      </More>
    </fieldset>
  );
}

function LayersSetting({
  lora,
  set,
  ids,
  locked,
}: {
  lora: LoraConfig;
  set: (lora: LoraConfig) => void;
  ids: { labelledBy: string; describedBy: string | undefined };
  locked: boolean;
}) {
  const text = lora.layers_to_transform?.map((layer) => (Number.isNaN(layer) ? '' : layer)).join(', ') ?? '';
  if (locked) return <span className="cf-value">{text || 'all'}</span>;
  return (
    <input
      className="cf-value in"
      type="text"
      placeholder="all"
      aria-labelledby={ids.labelledBy}
      aria-describedby={ids.describedBy}
      aria-invalid={ids.describedBy !== undefined}
      defaultValue={text}
      onChange={(event) => {
        const parts = event.target.value.split(',').map((part) => part.trim());
        const { layers_to_transform: _, ...all } = lora;
        const layers = parts.map((part) => (part === '' ? Number.NaN : Number(part)));
        set(parts.every((part) => part === '') ? all : { ...all, layers_to_transform: layers });
      }}
    />
  );
}

function CheckFields({ config, problems, mode, onChange }: Props) {
  const row = (name: 'eval_questions' | 'eval_steps' | 'save_steps' | 'kl_limit') => (
    <ConfigRow key={name} name={name} explanation={EXPLANATIONS[name]} problem={problems[name]}>
      {(ids) => (
        <NumberSetting
          ids={ids}
          locked={mode !== 'open'}
          value={config[name]}
          onChange={(value) => onChange({ [name]: value })}
        />
      )}
    </ConfigRow>
  );
  return (
    <fieldset className="cf-group">
      <legend>Checks</legend>
      {(['eval_questions', 'eval_steps', 'save_steps'] as const).map(row)}
      {config.stage === 'grpo' && row('kl_limit')}
    </fieldset>
  );
}
